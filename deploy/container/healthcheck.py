"""Ends with 0 if the exporter in this container answers, with 1 if it does not.

Any answer but an error of the server shows that it serves: so does 401, where a password is needed.
"""

import os
import ssl
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

TIMEOUT = 4  # seconds; less than the Dockerfile gives

url = urlsplit(os.environ.get("HEALTHCHECK_URL") or "http://127.0.0.1:8426/-/healthy")
if url.scheme == "https":
    # The certificate is for the names that others use, and nothing secret is sent.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection: HTTPConnection = HTTPSConnection(url.netloc, timeout=TIMEOUT, context=context)
else:
    connection = HTTPConnection(url.netloc, timeout=TIMEOUT)
try:
    connection.request("GET", url.path or "/")
    status = connection.getresponse().status
except (OSError, HTTPException) as error:
    sys.exit(f"no answer: {error}")
if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
    sys.exit(f"status {status}")
