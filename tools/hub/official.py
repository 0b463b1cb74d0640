#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds `vitrine pull` and `-m NAME` against huggingface_hub, the official tool, in both directions:
what pull leaves in the cache its readers must take for whole, and what it downloads -m must find.
Both talk to a small hub in this program. Not part of the tests, as the package is PyPI's:

    python3 -m venv venv && venv/bin/pip install huggingface_hub
    venv/bin/python tools/hub/official.py build/vitrine
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODELS = {
    "timm/vit_tiny.test": ROOT / "tests/data/golden/timm_vit_token",
    "google/vit-tiny": ROOT / "tests/data/golden/hf_vit",
}
WANTED = ("config.json", "preprocessor_config.json", "model.safetensors")


def files_of(model):
    return {name: (MODELS[model] / name).read_bytes() for name in WANTED if (MODELS[model] / name).exists()}


def is_large(name):
    return name.endswith(".safetensors")


def hash_of(name, data):
    return hashlib.sha256(data).hexdigest() if is_large(name) else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """Models' lists of files, small files, and weights, which it sends to itself under another name for."""

    protocol_version = "HTTP/1.1"
    bodies = 0  # files whose bytes were sent

    def log_message(self, *_):
        pass

    def reply(self, status, headers, data):
        self.send_response(status)
        for key, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self):
        path = self.path.split("?")[0].strip("/").split("/")
        if path[0] == "cdn":
            Hub.bodies += 1
            return self.reply(200, {"ETag": '"0-1"'}, files_of("/".join(path[1:3]))[path[3]])
        model = "/".join(path[2:4] if path[0] == "api" else path[:2])
        if model not in MODELS:
            return self.reply(404, {"X-Error-Code": "RepoNotFound"}, b"")
        files = files_of(model)
        if path[0] == "api" and path[4] == "tree":
            tree = [{"type": "file", "path": n, "size": len(d), "oid": hash_of("x", d),
                     **({"lfs": {"oid": hash_of(n, d), "size": len(d), "pointerSize": 130}} if is_large(n) else {})}
                    for n, d in files.items()]
            return self.reply(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())
        if path[0] == "api":
            info = {"id": model, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files],
                    "private": False, "downloads": 0, "likes": 0, "tags": []}
            return self.reply(200, {"Content-Type": "application/json"}, json.dumps(info).encode())
        name = path[-1]
        if name not in files:
            return self.reply(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"")
        tag = f'"{hash_of(name, files[name])}"'
        if is_large(name):
            where = f"http://localhost:{self.server.server_port}/cdn/{model}/{name}?Signature=x"
            return self.reply(302, {"X-Repo-Commit": COMMIT, "X-Linked-Etag": tag, "Location": where,
                                    "X-Linked-Size": len(files[name])}, b"")
        Hub.bodies += self.command != "HEAD"
        return self.reply(200, {"X-Repo-Commit": COMMIT, "ETag": tag}, files[name])

    do_HEAD = do_GET


def run(vitrine, cache, *arguments):
    done = subprocess.run([vitrine, *arguments], env={**os.environ, "HF_HUB_CACHE": str(cache)},
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments}: {done.stderr}")
    return done.stdout


def layout(cache):
    """Files, links with their targets, and references with their contents."""
    seen = {}
    for path in sorted(cache.rglob("*")):
        name = str(path.relative_to(cache))
        if path.is_symlink():
            seen[name] = os.readlink(path)
        elif path.is_file() and "/trees/" not in name and not name.startswith(".locks") and name != "CACHEDIR.TAG":
            seen[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return seen


def main():
    vitrine = os.path.abspath(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import huggingface_hub as official

    picture = str(ROOT / "images/photos/chelsea.png")
    with tempfile.TemporaryDirectory() as top:
        ours, theirs = Path(top, "ours"), Path(top, "theirs")
        for model, folder in MODELS.items():
            snapshot = run(vitrine, ours, "pull", "-q", model).strip()
            for name in files_of(model):
                found = official.try_to_load_from_cache(model, name, cache_dir=ours)
                assert found == f"{snapshot}/{name}", (found, snapshot, name)
            local = official.snapshot_download(model, cache_dir=ours, local_files_only=True)
            assert local == snapshot, (local, snapshot)
            before = Hub.bodies
            for name in files_of(model):
                assert official.hf_hub_download(model, name, cache_dir=ours) == f"{snapshot}/{name}"
            assert Hub.bodies == before, "the official tool downloaded again what was there"
            official.snapshot_download(model, cache_dir=theirs)
            before = Hub.bodies
            run(vitrine, theirs, "pull", "-q", model)
            assert Hub.bodies == before, "pull downloaded again what the official tool had"
            expected = run(vitrine, ours, "classify", "-m", str(folder), picture)
            for cache in (ours, theirs):
                assert run(vitrine, cache, "classify", "-m", model, picture) == expected
        scan = official.scan_cache_dir(ours)
        assert not scan.warnings, scan.warnings
        repositories = {r.repo_id: r for r in scan.repos}
        assert set(repositories) == set(MODELS), repositories
        for model, repository in repositories.items():
            (revision,) = repository.revisions
            assert revision.commit_hash == COMMIT and revision.refs == {"main"}, revision
            assert revision.size_on_disk == sum(map(len, files_of(model).values())), revision
        assert layout(ours) == layout(theirs), (layout(ours), layout(theirs))
        print(f"huggingface_hub {official.__version__}: the same cache, file by file; "
              f"{len(MODELS)} models, {len(layout(ours))} entries")


main()
