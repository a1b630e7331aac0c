# `make` alone lists the verbs. Every verb that needs an environment makes it first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
SOUNDSTAGE := .venv/bin/soundstage
AVATAR := avatar/.venv/bin/avatar
DEMO_SENTENCE ?= Make a video where Nova says: Hello! I am Nova. You gave me one sentence, and this machine made me say it.

.PHONY: quick eval ui tools help setup setup-farm demo up test test-changed test-long test-gpu policy-test check format pictures look bench docs clean

help: ## list the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the project needs (says what and why)
	@scripts/setup runtime

setup-farm: ## install Ansible and what machines of the lab need, too
	@scripts/setup farm

demo: ## from one sentence to out/….mp4 on this machine
	@scripts/setup runtime
	@$(SOUNDSTAGE) ask "$(DEMO_SENTENCE)"

up: ## start the studio at http://127.0.0.1:8000
	@scripts/setup runtime
	@$(SOUNDSTAGE) up

ui: ## build the page (needs Node 20.19 or newer and npm)
	@scripts/setup runtime
	@PYTHONPATH=. .venv/bin/python scripts/ui_client.py
	@ui/build

test: ## run everything that checks the project (long things in their short form)
	@scripts/setup test
	@scripts/test

quick: ## check what your change can reach, in two minutes: no test that starts a process
	@[[ -x .venv/bin/pytest ]] || scripts/setup test
	@.venv/bin/python scripts/quick.py

eval: ## score how sentences are understood: grammar, reader, and models of the settings
	@scripts/setup runtime
	@scripts/eval

test-changed: ## run the journeys, too, of which only the programs that they start have changed
	@scripts/setup test
	@TEST_CHANGED=1 scripts/test

test-long: ## run all tests in full, the slow ones too
	@scripts/setup test
	@scripts/test --long

test-gpu: ## run the tests that need an NVIDIA card
	@scripts/setup test
	@scripts/test --gpu

policy-test: ## test the rules of who may do what, in both engines
	@scripts/setup test
	@scripts/policy_test

check: ## format, types, imports, lint, docs drift
	@scripts/setup test
	@scripts/check

format: ## write the format that `make check` asks for
	@scripts/setup test
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format . ; ! command -v npm >/dev/null || { ui/build modules && cd ui && npm run --silent format; }

pictures: ## make the pictures of docs/ anew
	@scripts/setup test
	@scripts/bench pictures docs/pictures
	@scripts/bench film

look: ## judge a rendered video or your own footage: make look CLIP=file
	@scripts/setup test
	@scripts/bench look "$(CLIP)"

bench: ## print the figures of the avatar pipeline on this machine
	@scripts/setup test
	@scripts/bench avatar_speed
	@scripts/bench simulate
	@scripts/bench policy_decisions

tools: ## build the pinned engines (Nomad, Consul, OPA, S3 server, LiveKit) into a cache, and print where they are
	@tools/build

docs: ## build the documentation into site/
	@scripts/setup test
	@PYTHONPATH=. .venv/bin/python scripts/docs_generate.py && .venv/bin/python scripts/role_readmes.py && .venv/bin/python scripts/monitoring_dashboards.py && .venv/bin/mkdocs build --strict --quiet

clean: ## remove environments and caches inside this checkout
	rm -rf .venv avatar/.venv farm/device_plugin/.venv ansible/.venv site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .quick build
