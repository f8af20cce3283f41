"""What a page with an interactive mesh carries."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import zipfile

import numpy as np

from bench3dmm.view import show


def packed_scene(view: show.MeshView) -> dict:
    """What a view's page gives to trame's viewer: its objects, and its arrays by hash."""
    page = html.unescape(re.search(r'<iframe srcdoc="([^"]*)"', view.html)[1])
    packed = base64.b64decode(re.search(r'base64Str = "([^"]*)"', page)[1])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return json.loads(archive.read("index.json"))


def objects_of(scene: dict, kind: str) -> list[dict]:
    below = [found for part in scene.get("dependencies", []) for found in objects_of(part, kind)]
    return [scene["properties"]] * (kind in scene["type"]) + below


def array_of(packed: dict, description: dict) -> np.ndarray:
    kind = {"Float32Array": np.float32, "Uint8Array": np.uint8}[description["dataType"]]
    content = base64.b64decode(packed["hashes"][description["hash"]]["content"])
    return np.frombuffer(content, kind).reshape(-1, description["numberOfComponents"])
