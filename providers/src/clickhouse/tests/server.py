"""ClickHouse's HTTP interface over its engine as a Python module, for as long as its standard input is open.

Once it accepts requests it prints `port NUMBER`. Its data are in a folder of its own, which it removes. It does what a server does as far as the connector
relies on it: users and passwords, settings in the URL, results that stream, errors before and behind the first bytes, `KILL QUERY`,
and the end of a statement whose client is gone. What is computed, limited in time and written as Arrow is the engine's own.

The user `admin` runs any statement as it is, without the settings of the URL.
"""

import http.server
import os
import re
import select
import shutil
import socket
import sys
import tempfile
import threading
import urllib.parse
import uuid

import chdb

USERS = {"admin": b"", "reader": "p'ä\"s\\s:w?".encode(), "strict": b"strict"}

# What of a URL is no setting of the engine's.
NO_SETTINGS = {"database", "query_id", "default_format", "wait_end_of_query"}

# Settings that hold while a statement is read, before what stands in it can say more; and what a server has without being told.
BEFORE_PARSING = {"max_query_size": "262144"}

FOLDER = tempfile.mkdtemp(prefix="causeway-clickhouse-")
VERSION = ""


class Connections:
    """Connections to the engine; one serves one statement at a time, and none is closed, which could close the engine.

    One whose stream did not come to its end has remains of it in its next answer, and serves no more.
    """

    def __init__(self) -> None:
        self.free: list = []
        self.spent: list = []
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            return self.free.pop() if self.free else chdb.connect(FOLDER)

    def give(self, connection, whole: bool = True) -> None:
        with self.lock:
            (self.free if whole else self.spent).append(connection)

    def ask(self, sql: str, form: str = "TSV") -> bytes:
        connection, whole = self.take(), False
        try:
            answer = connection.query(sql, form).bytes()
            whole = True
            return answer
        finally:
            self.give(connection, whole)


ENGINE = Connections()


def text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def kill(query_id: str) -> bytes:
    # The engine gives its statements ids of its own; ours is in the statement's text.
    others = "NOT startsWith(query, 'KILL') AND position(query, 'system.processes') = 0"
    return ENGINE.ask(f"KILL QUERY WHERE position(query, {text(mark(query_id))}) > 0 AND {others} ASYNC")


def mark(query_id: str) -> str:
    return f"/* query {query_id} */"


class Refused(Exception):
    """An error of the server: its code, and its text as the server writes it."""

    def __init__(self, told: str) -> None:
        found = re.search(r"Code: (\d+)\. DB::Exception: ", told)
        self.code = int(found.group(1)) if found else 49
        # The module tells some errors twice.
        told = told[found.start():] if found else f"Code: 49. DB::Exception: {told} (LOGICAL_ERROR)"
        self.told = f"{told} (version {VERSION})"
        super().__init__(self.told)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_arguments) -> None:
        pass

    def do_POST(self) -> None:
        sql = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(self.path).query, keep_blank_values=True))
        try:
            user = self.user()
            killed = re.fullmatch(r"KILL QUERY WHERE query_id = '([^']*)' ASYNC", sql)
            if killed:
                self.whole(kill(killed.group(1)))
            elif user == "admin":
                self.whole(self.asked(lambda: ENGINE.ask(sql)))
            else:
                if user == "strict":
                    raise Refused("Code: 164. DB::Exception: Cannot modify 'session_timezone' setting in readonly mode. (READONLY)")
                self.stream(sql, asked)
        except Refused as refused:
            self.refuse(refused)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def user(self) -> str:
        name = self.headers.get("X-ClickHouse-User", "default")
        # Headers come as Latin-1 whatever they are.
        key = self.headers.get("X-ClickHouse-Key", "").encode("latin-1")
        if USERS.get(name) != key:
            raise Refused(
                f"Code: 516. DB::Exception: {name}: Authentication failed: password is incorrect, or there is no user with such name. "
                "(AUTHENTICATION_FAILED)"
            )
        return name

    def asked(self, ask):
        try:
            return ask()
        except (RuntimeError, chdb.ChdbError) as error:
            raise Refused(str(error)) from None

    def whole(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, refused: Refused) -> None:
        body = refused.told.encode() + b"\n"
        self.send_response({516: 403, 497: 403, 60: 404, 81: 404}.get(refused.code, 500))
        self.send_header("X-ClickHouse-Exception-Code", str(refused.code))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, sql: str, asked: dict) -> None:
        query_id = asked.get("query_id", str(uuid.uuid4()))
        settings = ", ".join(f"{name} = {text(value)}" for name, value in asked.items() if name not in NO_SETTINGS)
        form = asked.get("default_format", "TabSeparated")
        sql = f"{sql} {mark(query_id)} FORMAT {form} SETTINGS {settings}"
        connection, whole = ENGINE.take(), False
        done = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(done, query_id))
        try:
            self.asked(lambda: connection.query(f"USE `{asked.get('database', 'default')}`"))
            for name, usual in BEFORE_PARSING.items():
                value = text(asked.get(name, usual))
                self.asked(lambda name=name, value=value: connection.query(f"SET {name} = {value}"))
            watcher.start()
            whole = self.rows(connection, sql, form)
        finally:
            done.set()
            ENGINE.give(connection, whole)
            if watcher.ident:
                watcher.join()

    def rows(self, connection, sql: str, form: str) -> bool:
        """Sends the rows; whether they were all."""
        result = self.asked(lambda: connection.send_query(sql, form))
        begun, last = False, b""
        try:
            while True:
                try:
                    part = result.fetch()
                except (RuntimeError, chdb.ChdbError) as error:
                    if not begun:
                        raise Refused(str(error)) from None
                    self.cut_short(Refused(str(error)))
                    return False
                if part is None or not part.bytes():
                    break
                part = part.bytes()
                if not begun:
                    self.begin()
                elif form == "ArrowStream":
                    # The module makes a stream of each part, which begins with the schema.
                    part = part[8 + int.from_bytes(part[4:8], "little"):]
                if form == "ArrowStream":
                    part, last = part[:-8], part[-8:]
                begun = True
                self.chunk(part)
        except (BrokenPipeError, ConnectionResetError):
            result.cancel()
            raise
        if not begun:
            # It makes none of a result without rows.
            last = self.asked(lambda: connection.query(sql, form)).bytes()
            self.begin()
        self.chunk(last)
        self.chunk(b"")
        return True

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

    def cut_short(self, refused: Refused) -> None:
        told = f"{refused.told}\n"
        self.chunk(f"\r\n__exception__\r\nPU1FNUFH98\r\n{told}{len(told)} PU1FNUFH98\r\n__exception__\r\n".encode())
        # A server of today ends the connection here. To end the body as if it were whole is harder to see through.
        self.chunk(b"")

    def watch(self, done: threading.Event, query_id: str) -> None:
        while not done.wait(0.05):
            readable, _, _ = select.select([self.connection], [], [], 0)
            try:
                if readable and not self.connection.recv(1, socket.MSG_PEEK):
                    kill(query_id)
                    return
            except OSError:
                kill(query_id)
                return


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    global VERSION
    VERSION = ENGINE.ask("SELECT version()").decode().strip()
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("port", server.server_address[1], flush=True)
    sys.stdin.read()
    shutil.rmtree(FOLDER, ignore_errors=True)
    os._exit(0)


main()
