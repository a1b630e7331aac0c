"""`avatar init`: a small spec in YAML with comments, and the schema by which editors check it."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from avatar.cli.console import Console
from avatar.encode.atomic import write_bytes
from avatar.errors import InvalidInput
from avatar.pipeline.files import describe
from avatar.spec import Finished, json_schema

SCHEMA = "renderspec.schema.json"
EXAMPLE = f"""\
# yaml-language-server: $schema=./{SCHEMA}
# avatar render film.yaml film.mp4
version: 1
title: Good morning
canvas: {{width: 1920, height: 1080, fps: 25}}

scenes:
  # A title card: nobody speaks, so it says how long it is.
  - id: title
    duration_ms: 2500
    layout: {{visible: false}}
    background: {{kind: set, name: studio}}
    overlays:
      - kind: title
        title: Good morning
        subtitle: A first film
        enter: {{kind: slide_up, ms: 600}}

  - id: hello
    script: >
      Good morning, I am Nova. Three things make a good film: a *clear* thought,
      a friendly face, and a happy end.
    camera: {{framing: side_left, push_in: 0.05}}
    background: {{kind: set, name: office, light: warm}}
    transition: {{kind: dissolve}}
    overlays:
      - kind: lower_third
        name: Nova
        role: Presenter
        start: {{at: time, ms: 600}}
        end: {{at: word, word: Three}}
        enter: {{kind: slide_right}}
      # Each item comes with the word it belongs to.
      - kind: list
        heading: A good film
        start: {{at: word, word: Three}}
        items:
          - {{text: A clear thought, at: {{at: word, word: thought}}}}
          - {{text: A friendly face, at: {{at: word, word: face}}}}
          - {{text: A happy end, at: {{at: word, word: end}}}}

# Music makes way for the voice:
# music: {{audio: {{path: music.mp3}}, level_db: -12}}
fade_out_ms: 600

output:
  captions:
    mode: both  # burned into the picture, and beside it
    # Colours need quotes: behind a space, # begins a comment.
    style: {{highlight: "#ffd166"}}
"""


def write_example(arguments: Namespace, console: Console) -> int:
    """Write the example and its schema beside it. Raises InvalidInput `output.exists`, `output.not_yaml`."""
    target: Path = arguments.out
    if target.suffix.lower() not in (".yaml", ".yml"):
        raise InvalidInput("output.not_yaml", f"The example is YAML, and {target.name} is named otherwise.",
                           "Name it *.yaml.")  # fmt: skip
    if target.exists():
        raise InvalidInput("output.exists", f"{target} exists already.", "Name another file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    schema = target.with_name(SCHEMA)
    write_bytes(schema, json.dumps(json_schema(), indent=2, ensure_ascii=False).encode() + b"\n")
    write_bytes(target, EXAMPLE.encode())
    console.tell(
        Finished(files=(describe("spec", target), describe("schema", schema)), duration_ms=0, frames=0)
    )
    return 0
