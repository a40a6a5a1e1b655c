"""A run folder's memory: what was answered, what it cost and which records are done. Whatever was told to it survives kill -9."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facet_worker.endpoint.client import Answer
from facet_worker.errors import FacetError

_TABLES = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answer (
  key TEXT PRIMARY KEY, text TEXT NOT NULL, finish TEXT, read INTEGER, written INTEGER, created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS spending (id INTEGER PRIMARY KEY, reserved REAL NOT NULL, spent REAL);
CREATE TABLE IF NOT EXISTS record (step TEXT, key TEXT, body TEXT NOT NULL, cause TEXT, asked TEXT NOT NULL, PRIMARY KEY (step, key));
"""


class Store:
    """One SQLite file, `answers.sqlite`, open to one process; safe for several threads.

    Money is reserved before a request is sent and settled when it is answered, so that what a killed process had under way counts as spent.
    """

    def __init__(self, folder: Path) -> None:
        """Opens or makes it. Throws `invalid_request` where another process has it, `file_invalid` where it is something else."""
        self._lock = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FacetError(f"The folder {folder} cannot be made: {error.strerror}.", "invalid_request", fix="Name another.") from error
        self._path = folder / "answers.sqlite"
        with self._told():
            self._db = sqlite3.connect(self._path, timeout=1, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            # Nobody knows whether these were answered.
            self._db.execute("UPDATE spending SET spent = reserved WHERE spent IS NULL")
            row = self._db.execute("SELECT value FROM setting WHERE name = 'seconds'").fetchone()
        self._begun, self._seconds_before = time.monotonic(), float(row[0]) if row else 0.0

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            said = str(error)
            if "full" in said:
                raise FacetError(f"The disk under {self._path.parent} is full.", "disk_full") from error
            if "locked" in said:
                fix = "Wait for it, or use another folder: two would ask the same twice."
                raise FacetError(f"Another process uses {self._path.parent}.", "invalid_request", fix=fix) from error
            raise FacetError(
                f"{self._path} cannot be used: {said}.", "file_invalid", fix="Check the disk and the folder's rights."
            ) from error
        except sqlite3.DatabaseError as error:
            raise FacetError(f"{self._path} is damaged or something else: {error}.", "file_invalid", fix="Move it away.") from error

    def agree(self, name: str, value: dict[str, Any]) -> None:
        """Keeps a setting the first time. Throws `invalid_request` when it was another: records of two configurations never mix."""
        text = json.dumps(value, sort_keys=True)
        with self._told():
            row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
            if row is None:
                self._db.execute("INSERT INTO setting VALUES (?, ?)", (name, text))
                return
        before = json.loads(row[0])
        if before != value:
            changed = sorted(key for key in {*before, *value} if before.get(key) != value.get(key))
            raise FacetError(
                f"The folder {self._path.parent} was made with another configuration: {', '.join(changed)} differ.",
                "invalid_request",
                fix="Use the configuration that it was made with, or another folder.",
            )

    def answer(self, key: str) -> Answer | None:
        with self._told():
            row = self._db.execute("SELECT text, finish, read, written, created_at FROM answer WHERE key = ?", (key,)).fetchone()
        return None if row is None else Answer(row[0], row[1], row[2], row[3], row[4], key)

    def keep_answer(self, answer: Answer) -> None:
        row = (answer.key, answer.text, answer.finish, answer.read, answer.written, answer.created_at)
        with self._told():
            self._db.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?)", row)

    def reserve(self, money: float) -> int:
        """Notes that a request is about to be sent that can cost so much; answers its number."""
        with self._told():
            number = self._db.execute("INSERT INTO spending (reserved) VALUES (?)", (money,)).lastrowid
        assert number is not None
        return number

    def settle(self, number: int, money: float) -> None:
        with self._told():
            self._db.execute("UPDATE spending SET spent = ? WHERE id = ?", (money, number))

    def spent(self) -> tuple[float, float]:
        """Money spent in this folder, and money reserved for what is under way."""
        with self._told():
            row = self._db.execute("SELECT sum(spent), sum(CASE WHEN spent IS NULL THEN reserved END) FROM spending").fetchone()
        return float(row[0] or 0), float(row[1] or 0)

    def keep_record(self, step: str, key: str, body: dict[str, Any], cause: str | None, asked: list[str]) -> None:
        """Keeps what came of one thing to do: `cause` names a failure, `asked` the answers that it rests on."""
        row = (step, key, json.dumps(body), cause, json.dumps(asked))
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)", row)
                seconds = self._seconds_before + time.monotonic() - self._begun
                self._db.execute("INSERT OR REPLACE INTO setting VALUES ('seconds', ?)", (f"{seconds:.3f}",))

    def seconds(self) -> float:
        """From the opening to the last record that was kept, over all processes that worked here."""
        with self._told():
            row = self._db.execute("SELECT value FROM setting WHERE name = 'seconds'").fetchone()
        return float(row[0]) if row else 0.0

    def record(self, step: str, key: str) -> tuple[dict[str, Any], str | None] | None:
        with self._told():
            row = self._db.execute("SELECT body, cause FROM record WHERE step = ? AND key = ?", (step, key)).fetchone()
        return None if row is None else (json.loads(row[0]), row[1])

    def forget_failures(self, step: str) -> int:
        """Drops a step's failed records together with the answers behind them, so that both are asked for again; answers how many."""
        with self._told():
            rows = self._db.execute("SELECT key, asked FROM record WHERE step = ? AND cause IS NOT NULL", (step,)).fetchall()
            self._db.execute("BEGIN IMMEDIATE")
            # Both or neither: what broke off halfway is taken back, and can be tried again.
            with self._db:
                self._db.executemany("DELETE FROM answer WHERE key = ?", [(key,) for _, asked in rows for key in json.loads(asked)])
                self._db.executemany("DELETE FROM record WHERE step = ? AND key = ?", [(step, key) for key, _ in rows])
        return len(rows)
