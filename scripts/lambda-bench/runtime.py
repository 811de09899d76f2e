"""The Lambda Runtime API for one function that runs here, and what the kernel says of its process."""

import glob
import http.server
import json
import os
import queue
import subprocess
import threading
import time

VERSION = "/2018-06-01/runtime/"


class Function:
    """A bootstrap and the API that it asks for work. Its process does nothing between invocations."""

    def __init__(self, bootstrap, environment, log):
        self.work, self.answers, self.idle = queue.Queue(), queue.Queue(), queue.Queue()
        self.count = 0
        function = self

        class Api(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def answer(self, status, body, headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def do_GET(self):
                function.idle.put(time.perf_counter())
                event = function.work.get()
                function.count += 1
                deadline = str(int((time.time() + 30) * 1000))
                self.answer(200, event, [
                    ("Lambda-Runtime-Aws-Request-Id", f"00000000-0000-0000-0000-{function.count:012}"),
                    ("Lambda-Runtime-Deadline-Ms", deadline),
                    ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f"),
                    ("Content-Type", "application/json"),
                ])

            def do_POST(self):
                body = self.body()
                function.answers.put((self.path.rsplit("/", 1)[-1], body))
                self.answer(202, b"")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        environment = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_GROUP_NAME": "g",
            "AWS_LAMBDA_LOG_STREAM_NAME": "s",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        } | environment
        self.began = time.perf_counter()
        self.process = subprocess.Popen([bootstrap], env=environment, stdout=log, stderr=log)

    def wait_idle(self, seconds=20):
        """Waits until it asks for work; answers when that was."""
        end = time.perf_counter() + seconds
        while True:
            try:
                at = self.idle.get(timeout=0.2)
                break
            except queue.Empty:
                if self.process.poll() is not None or time.perf_counter() > end:
                    raise SystemExit(f"the function ended with {self.process.poll()} or asked for nothing; see its log")
        # The request was sent; what its sender still does is some microseconds.
        time.sleep(0.002)
        return at

    def invoke(self, event):
        """The answer, the processor's seconds until it is idle again, and the seconds that passed."""
        before, began = self.cpu(), time.perf_counter()
        self.work.put(event if isinstance(event, bytes) else json.dumps(event).encode())
        kind, body = self.answers.get(timeout=40)
        passed = time.perf_counter() - began
        self.wait_idle()
        if kind != "response":
            raise SystemExit(f"the function failed: {body.decode()}")
        return json.loads(body), self.cpu() - before, passed

    def cpu(self):
        """What its threads ran so far, in seconds; exact, as they sleep when this is asked."""
        total = 0
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/schedstat"):
            with open(path) as stat:
                total += int(stat.read().split()[0])
        return total / 1e9

    def memory(self):
        """Resident megabytes: in all, and of these what no file backs."""
        with open(f"/proc/{self.process.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return tuple(int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "RssAnon"))

    def stop(self):
        """Ends it; answers the processor's seconds of its whole life as the kernel counts them, ended threads too."""
        self.process.kill()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = status
        self.server.shutdown()
        self.server.server_close()
        return usage.ru_utime + usage.ru_stime


def bootstrap(directory, name):
    return os.path.realpath(f"{directory}/{name}-lambda")
