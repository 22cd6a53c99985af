"""Validates the served description with a validator of its own: python test_openapi.py HOST PORT."""

import json
import sys
import urllib.request

from openapi_spec_validator import OpenAPIV31SpecValidator


def main(host, port):
    base = "http://%s:%s" % (host, port)
    with urllib.request.urlopen(base + "/openapi.json") as answer:
        document = json.load(answer)
    OpenAPIV31SpecValidator(document).validate()
    assert len(document["paths"]) > 250, len(document["paths"])
    for path in ("/documentation", "/documentation/index.html"):
        with urllib.request.urlopen(base + path) as answer:
            page = answer.read().decode()
        assert answer.headers.get_content_type() == "text/html"
        # Whoever is not connected to anything else can read it all the same.
        assert "http://" not in page and "https://" not in page, path
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
