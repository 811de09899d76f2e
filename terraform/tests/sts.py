#!/usr/bin/env python3
"""Answers, on loopback, whose account it is: all that a plan of something new asks of AWS.

usage: sts.py FILE   writes the port it listens on to FILE, and serves until it is stopped.
"""

import http.server
import os
import sys

ANSWER = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/plan</Arn><UserId>PLAN</UserId><Account>123456789012</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""


class Identity(http.server.BaseHTTPRequestHandler):
    """Says the same to everybody."""

    def do_POST(self):  # noqa: N802, the name is the base class's
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", "text/xml")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        """Nothing to log."""


def main():
    """Serves."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Identity)
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
        file.write(str(server.server_port))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
