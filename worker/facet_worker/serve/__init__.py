"""The worker's HTTP server: the engine protocol of lib/core/worker-wire.ts over any engine of this package.

`create_app(host, settings)` of `app` is the whole of it as an ASGI application; `run` of `server` puts it on a socket; `command` is the command line.
"""
