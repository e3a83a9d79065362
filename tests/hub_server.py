"""A Hugging Face hub in a thread: the endpoints that ``huggingface_hub`` uses, and their faults.

Files of some kinds are LFS objects, which another origin gives out (``localhost`` beside
``127.0.0.1``), as on the real hub.  What is committed gets a hash for a name; branches, tags and
pull requests are names of commits.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

TOKEN = "hf_of_a_test"
LFS_SUFFIXES = (".pth", ".safetensors", ".onnx", ".zip", ".png")
LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "other"}
PIPELINES = {"audio-to-audio", "text-to-speech", "automatic-speech-recognition"}


@dataclass
class Repository:
    """Commits by their hash, names of commits, and who may read."""

    commits: dict = field(default_factory=dict)  # hash: {path: bytes}
    refs: dict = field(default_factory=dict)  # main, v1, refs/pr/1: hash
    private: bool = False
    gated: bool = False
    pull_requests: int = 0

    def commit(self, files, ref="main", parent="main"):
        """Add files, ``{path: bytes}``, to those of ``parent``; return the commit's hash."""
        tree = {**self.commits.get(self.refs.get(parent), {}), **files}
        text = "".join(f"{path} {sha256(data)}\n" for path, data in sorted(tree.items()))
        name = hashlib.sha1(f"{ref} {len(self.commits)}\n{text}".encode()).hexdigest()
        self.commits[name] = tree
        self.refs[ref] = name
        return name

    def find(self, revision):
        """The hash of a commit by that or by a name; None: there is none."""
        return revision if revision in self.commits else self.refs.get(revision)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_blob(data):
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


def is_lfs(path):
    return path.endswith(LFS_SUFFIXES)


class Hub(ThreadingHTTPServer):
    """The server; ``with Hub() as hub`` runs it.

    Attributes:
        requests: (method, path, value of Range or None) of all that came.
        refusals: how many of the next requests of the API are answered by ``refusal``.
        refusal: status and headers of those.
        breaks: {path: bytes} after which the next answers with that file break off.
        damaged: {path: bytes} that are sent in the place of the file.
        answers: {end of a path: (status, headers, bytes)} that are sent in any case.
        told: hosts that were given a token.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.cdn = f"http://localhost:{self.server_port}"
        self.repositories, self.objects, self.requests = {}, {}, []
        self.refusals, self.refusal = 0, (429, {"Retry-After": "0"})
        self.breaks, self.damaged, self.answers = {}, {}, {}
        self.told = set()
        self.lock = threading.Lock()

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def add(self, name, folder=None, **access):
        """Make a repository of the files of a folder."""
        repository = self.repositories[name] = Repository(**access)
        files = {p.relative_to(folder).as_posix(): p.read_bytes()
                 for p in sorted(folder.rglob("*")) if p.is_file()} if folder else {}  # fmt: skip
        repository.commit(files)
        return repository

    def sent(self, path):
        """The Range of each request for the content of a file."""
        return [wanted for method, p, wanted in self.requests if method == "GET" and path in p]

    def handle_error(self, request, client_address):
        pass  # a client that went away


class Refused(Exception):
    """An answer that is no success: status, headers, and a JSON body."""


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer("GET")

    def do_HEAD(self):
        self.answer("HEAD")

    def do_POST(self):
        self.answer("POST")

    def do_PUT(self):
        self.answer("PUT")

    def answer(self, method):
        parts = urlsplit(self.path)
        path, self.query = parts.path, parse_qs(parts.query)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.requests.append((method, path, self.headers.get("Range")))
            if self.headers.get("Authorization"):
                self.server.told.add(self.headers["Host"].partition(":")[0])
        for end, (status, headers, body) in self.server.answers.items():
            if path.endswith(end):
                return self.send(status, body, headers)
        try:
            for pattern, methods, handle in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method in methods:
                    self.check_rate(path)
                    return handle(self, *map(unquote, match.groups()))
            raise Refused(404, {}, {"error": "no such page"})
        except Refused as refused:
            status, headers, body = refused.args
            self.send(status, json.dumps(body).encode(), headers)

    def check_rate(self, path):
        if not path.startswith("/api/"):
            return
        with self.server.lock:
            if not self.server.refusals:
                return
            self.server.refusals -= 1
        raise Refused(*self.server.refusal, {"error": "refused"})

    def send(self, status, body=b"", headers=None):
        self.send_response(status)
        headers = {"Content-Type": "application/json", **(headers or {})}
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, value, status=200, headers=None):
        self.send(status, json.dumps(value).encode(), headers)

    @property
    def has_token(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def need_token(self):
        if not self.has_token:
            raise Refused(401, {}, {"error": "Invalid username or password."})

    def open(self, name, content=False):
        """The repository, if this client may see it, and what is in it."""
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not self.has_token):
            known = self.has_token or repository is None
            code = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            raise Refused(404 if known else 401, code, {"error": "Repository not found"})
        if content and repository.gated:
            message = f"Access to model {name} is restricted."
            code = {"X-Error-Code": "GatedRepo", "X-Error-Message": message}
            raise Refused(403 if self.has_token else 401, code, {"error": message})
        return repository

    def commit_of(self, repository, revision):
        name = repository.find(revision)
        if name is None:
            message = f"Invalid rev id: {revision}"
            code = {"X-Error-Code": "RevisionNotFound", "X-Error-Message": message}
            raise Refused(404, code, {"error": message})
        return name

    # what is there

    def info(self, name, revision="main"):
        repository = self.open(name)
        commit = self.commit_of(repository, revision)
        files = [{"rfilename": path} for path in sorted(repository.commits[commit])]
        self.send_json({"_id": "1", "id": name, "modelId": name, "sha": commit, "tags": [],
                        "private": repository.private, "downloads": 0, "likes": 0,
                        "gated": "manual" if repository.gated else False,
                        "siblings": files})  # fmt: skip

    def tree(self, name, revision):
        repository = self.open(name)
        entries = []
        commit = self.commit_of(repository, revision)
        for path, data in sorted(repository.commits[commit].items()):
            entry = {"type": "file", "path": path, "size": len(data), "oid": git_blob(data)}
            if is_lfs(path):
                entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
            entries.append(entry)
        self.send_json(entries)

    def resolve(self, name, revision, path):
        repository = self.open(name, content=True)
        commit = self.commit_of(repository, revision)
        data = repository.commits[commit].get(path)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if data is None:
            code = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            raise Refused(404, {**headers, **code}, {"error": "Entry not found"})
        if not is_lfs(path):
            headers["ETag"] = f'"{git_blob(data)}"'
            return self.send_file(path, data, headers)
        headers["X-Linked-Etag"], headers["X-Linked-Size"] = f'"{sha256(data)}"', str(len(data))
        headers["Location"] = f"{self.server.cdn}/cdn/{sha256(data)}/{path}"
        with self.server.lock:
            self.server.objects[sha256(data)] = data
        self.send(302, b"", headers)

    def cdn(self, oid, path):
        self.send_file(path, self.server.objects[oid], {"ETag": f'"{oid}"'})

    def send_file(self, path, data, headers):
        """All of a file, or from a byte on, with the fault that is set for it."""
        data = self.server.damaged.get(path, data)
        status, size = 200, len(data)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted:
            start = int(wanted[1])
            status, data = 206, data[start:]
            headers = {**headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"}
        with self.server.lock:
            after = self.server.breaks.pop(path, None) if self.command == "GET" else None
        if after is None:
            return self.send(status, data, {"Content-Type": "binary/octet-stream", **headers})
        self.send(status, data[:after], {**headers, "Content-Length": str(len(data))})
        self.close_connection = True

    # what is sent

    def whoami(self):
        self.need_token()
        self.send_json({"type": "user", "name": "me", "orgs": []})

    def create(self):
        self.need_token()
        wanted = json.loads(self.body)
        name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        url = f"{self.server.url}/{name}"
        if not name.startswith("me/"):
            message = f'You don\'t have the rights to create a model under the namespace "{name}"'
            raise Refused(403, {"X-Error-Message": message}, {"error": message})
        if name in self.server.repositories:
            message = "You already created this model repo"
            raise Refused(409, {"X-Error-Message": message}, {"error": message, "url": url})
        private = wanted.get("private") or wanted.get("visibility") == "private"
        self.server.add(name, private=bool(private))
        self.send_json({"url": url, "name": name})

    def validate(self):
        errors = [{"message": e} for e in card_errors(json.loads(self.body)["content"])]
        self.send_json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def preupload(self, name, _):
        self.need_token()
        self.open(name)
        files = [{"path": file["path"], "shouldIgnore": False,
                  "uploadMode": "lfs" if is_lfs(file["path"]) else "regular"}
                 for file in json.loads(self.body)["files"]]  # fmt: skip
        self.send_json({"files": files})

    def lfs_batch(self, name):
        self.need_token()
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.server.objects:
                upload = {"href": f"{self.server.cdn}/lfs/{wanted['oid']}"}
                entry["actions"] = {
                    "upload": upload,
                    "verify": {"href": f"{self.server.url}/{name}.git/info/lfs/verify"},
                }
            objects.append(entry)
        self.send_json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid):
        if sha256(self.body) != oid:
            raise Refused(400, {}, {"error": "the hash is another"})
        self.server.objects[oid] = self.body
        self.send(200)

    def lfs_verify(self, _):
        wanted = json.loads(self.body)
        found = self.server.objects.get(wanted["oid"], b"")
        self.send_json({}, 200 if len(found) == wanted["size"] else 404)

    def commit(self, name, revision):
        self.need_token()
        repository = self.open(name)
        files = {}
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
        answer = {}
        ref = revision
        if self.query.get("create_pr"):
            repository.pull_requests += 1
            ref = f"refs/pr/{repository.pull_requests}"
            url = f"{self.server.url}/{name}/discussions/{repository.pull_requests}"
            answer["pullRequestUrl"] = url
        elif not name.startswith("me/"):
            message = "Authorization error."
            raise Refused(403, {"X-Error-Message": message}, {"error": message})
        commit = repository.commit(files, ref, parent=revision)
        url = f"{self.server.url}/{name}/commit/{commit}"
        self.send_json({"success": True, "commitOid": commit, "commitUrl": url, **answer})


def card_errors(content):
    """What the hub says about a card's metadata: of the fields that ours have."""
    match = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", content, flags=re.S)
    if match is None:
        return ['"yaml metadata" is missing']
    try:
        data = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return [f"invalid YAML: {error}"]
    errors = []
    for key, known in (("license", LICENCES), ("pipeline_tag", PIPELINES)):
        if key in data and data[key] not in known:
            errors.append(f'"{key}" must be one of {sorted(known)}')
    if data.get("license") == "other" and "license_name" not in data:
        errors.append('"license_name" is required')
    for key in ("tags", "datasets", "metrics"):
        if not all(isinstance(item, str) for item in data.get(key, [])):
            errors.append(f'"{key}" must be a list of strings')
    for name in data.get("datasets", []):
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
            errors.append(f'"datasets" {name!r} is no id of a dataset')
    for i, model in enumerate(data.get("model-index", [])):
        results = model.get("results", [])
        if not model.get("name") or not results:
            errors.append(f'"model-index[{i}]" needs a name and results')
        for result in results:
            needed = {"task": ("type",), "dataset": ("type", "name")}
            for key, fields in needed.items():
                if any(not result.get(key, {}).get(field) for field in fields):
                    errors.append(f'"model-index[{i}].results.{key}" needs {fields}')
            for metric in result.get("metrics", []):
                if not metric.get("type") or metric.get("value") is None:
                    errors.append(f'"model-index[{i}].results.metrics" needs type and value')
    return errors


NAME = r"([^/]+/[^/]+)"
ROUTES = [
    (f"/api/models/{NAME}", ("GET",), Answer.info),
    (f"/api/models/{NAME}/revision/([^/]+)", ("GET",), Answer.info),
    (f"/api/models/{NAME}/tree/([^/]+)", ("GET",), Answer.tree),
    (f"/{NAME}/resolve/([^/]+)/(.+)", ("GET", "HEAD"), Answer.resolve),
    ("/cdn/([0-9a-f]+)/(.+)", ("GET", "HEAD"), Answer.cdn),
    ("/api/whoami-v2", ("GET",), Answer.whoami),
    ("/api/repos/create", ("POST",), Answer.create),
    ("/api/validate-yaml", ("POST",), Answer.validate),
    (f"/api/models/{NAME}/preupload/([^/]+)", ("POST",), Answer.preupload),
    (f"/{NAME}.git/info/lfs/objects/batch", ("POST",), Answer.lfs_batch),
    ("/lfs/([0-9a-f]+)", ("PUT",), Answer.lfs_put),
    (f"/{NAME}.git/info/lfs/verify", ("POST",), Answer.lfs_verify),
    (f"/api/models/{NAME}/commit/([^/]+)", ("POST",), Answer.commit),
]
