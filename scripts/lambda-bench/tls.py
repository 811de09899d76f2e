"""TLS before the emulator, so that a start costs what it costs on AWS: the list of authorities is read, and hands are
shaken. And a key pair that signs tokens."""

import base64
import hashlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time

# Where systems keep the authorities that they trust; Amazon Linux has the first.
BUNDLES = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem")


def openssl(*arguments, text=None):
    done = subprocess.run(["openssl", *arguments], input=text, check=True, capture_output=True)
    return done.stdout


def certificates(directory):
    """A certificate of localhost by an authority of our own, and a bundle of the system's with that one in it."""
    ca, key, cert = (f"{directory}/{name}.pem" for name in ("ca", "key", "cert"))
    bundle = f"{directory}/bundle.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *curve, "-subj", "/CN=measure", "-keyout", f"{ca}.key", "-out", ca,
            "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", "-x509", *curve, "-subj", "/CN=localhost", "-keyout", key, "-out", cert, "-CA", ca, "-CAkey",
            f"{ca}.key", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
    with open(bundle, "w") as out:
        for path in [next((b for b in BUNDLES if os.path.exists(b)), None), ca]:
            if path:
                with open(path) as part:
                    out.write(part.read())
    return key, cert, bundle


def proxy(directory, port):
    """Starts it before a port of loopback; answers its own port and the bundle."""
    key, cert, bundle = certificates(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def serve(raw):
        try:
            inside = context.wrap_socket(raw, server_side=True)
            outside = socket.create_connection(("127.0.0.1", port))
        except OSError:
            raw.close()
            return
        for end in (inside, outside):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=pump, args=(inside, outside), daemon=True).start()
        pump(outside, inside)

    def accept():
        while True:
            raw, _ = listener.accept()
            threading.Thread(target=serve, args=(raw,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1], bundle


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(directory):
    """A public key in PEM, and a token signed by the other half, for any agent."""
    secret = f"{directory}/token.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", secret)
    raw = openssl("pkey", "-in", secret, "-pubout", "-outform", "DER")[-32:]
    jwk = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": b64(raw)}, separators=(",", ":"))
    header = {"alg": "EdDSA", "kid": b64(hashlib.sha256(jwk.encode()).digest()), "typ": "JWT"}
    now = int(time.time())
    claims = {"jti": "measure", "aud": "agentledger", "role": "ingest", "agents": ["*"], "iat": now, "exp": now + 86400}
    signed = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
    message = f"{directory}/token.message"
    with open(message, "w") as out:
        out.write(signed)
    signature = openssl("pkeyutl", "-sign", "-inkey", secret, "-rawin", "-in", message)
    return openssl("pkey", "-in", secret, "-pubout").decode(), f"{signed}.{b64(signature)}"
