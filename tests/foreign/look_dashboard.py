"""What optuna-dashboard's own API answers for the study in a file."""

import io
import json
import sys

import optuna
from optuna_dashboard import wsgi

where = sys.argv[1]
if where.endswith((".db", ".sqlite", ".sqlite3")):
    storage = optuna.storages.RDBStorage(f"sqlite:///{where}")
else:
    backend = optuna.storages.journal.JournalFileBackend(where)
    storage = optuna.storages.JournalStorage(backend)
application = wsgi(storage)


def get(path):
    environment = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http",
        "CONTENT_TYPE": "application/json", "HTTP_ACCEPT": "application/json",
    }
    answered = []
    body = b"".join(application(environment, lambda status, headers, *_: answered.append(status)))
    assert answered[0].startswith("200"), (path, answered, body)
    return json.loads(body)


studies = get("/api/studies")["study_summaries"]
found = {}
for study in studies:
    found[study["study_name"]] = get(f"/api/studies/{study['study_id']}")
print(json.dumps(found))
