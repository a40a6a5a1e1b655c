/**
 * Loaded into the Node processes of the browser tests, their worker threads too (see guard.mjs; `--import` is not loaded into those): refuses to leave this machine, by name or by
 * address, and notes each try. What native code does by itself is out of its reach.
 */
const { appendFileSync } = require("node:fs");
const dgram = require("node:dgram");
const dns = require("node:dns");
const { syncBuiltinESMExports } = require("node:module");
const net = require("node:net");

/** @param {Record<string, unknown>} line */
function note(line) {
  const file = process.env.FACET_GUARD_LOG;
  if (file) appendFileSync(file, `${JSON.stringify({ ...line, command: process.argv.slice(1, 4).join(" ") })}\n`);
}

/** @param {unknown} host */
function isHere(host) {
  const name = String(host ?? "").toLowerCase();
  return ["", "localhost", "::1", "::", "0.0.0.0"].includes(name) || /^(::ffff:)?127(\.\d+){3}$/.test(name);
}

/** @param {string} target */
function refusal(target) {
  const by = (new Error().stack ?? "").split("\n").slice(3, 8);
  note({ refused: target, by: by.map((line) => line.trim()) });
  return Object.assign(new Error(`This would leave the machine: ${target}`), { code: "ENETUNREACH" });
}

const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = /** @type {any} */ (
  /** @this {net.Socket} */
  function (/** @type {any[]} */ ...args) {
    // net.connect hands its arguments on in an array of its own.
    const [first, second] = Array.isArray(args[0]) ? args[0] : args;
    const host = first !== null && typeof first === "object" ? (first.path === undefined ? first.host : undefined) : second;
    if (typeof host !== "string" || isHere(host)) return connect.apply(this, /** @type {any} */ (args));
    const error = refusal(host);
    process.nextTick(() => this.destroy(error));
    return this;
  }
);

const { send } = dgram.Socket.prototype;
dgram.Socket.prototype.send = /** @type {any} */ (
  /** @this {dgram.Socket} */
  function (/** @type {any[]} */ ...args) {
    const address = args.slice(1).find((value) => typeof value === "string");
    if (address !== undefined && !isHere(address)) throw refusal(address);
    return send.apply(this, /** @type {any} */ (args));
  }
);

/** @param {string} name */
const asksNames = (name) => /^(lookup$|resolve|reverse$)/.test(name);

const callbacks = /** @type {Record<string, any>} */ (/** @type {unknown} */ (dns));
for (const name of Object.keys(callbacks).filter(asksNames)) {
  const original = callbacks[name];
  callbacks[name] = (/** @type {any[]} */ ...args) => {
    if (isHere(args[0])) return original.apply(dns, args);
    const error = refusal(String(args[0]));
    process.nextTick(() => args.at(-1)(error));
    return {};
  };
}

const promises = /** @type {Record<string, any>} */ (/** @type {unknown} */ (dns.promises));
for (const name of Object.keys(promises).filter(asksNames)) {
  const original = promises[name];
  promises[name] = async (/** @type {any[]} */ ...args) => {
    if (isHere(args[0])) return original.apply(dns.promises, args);
    throw refusal(String(args[0]));
  };
}

syncBuiltinESMExports();
note({ watched: process.pid });
