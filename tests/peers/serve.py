"""Serves moto on a free loopback port, prints the port, and ends when its standard input does."""

import os
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server


def end_with_owner():
    sys.stdin.buffer.read()
    os._exit(0)


app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=end_with_owner, daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
