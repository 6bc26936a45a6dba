# Everything starts here. `make demo` needs only Python 3.11 or newer; the rest installs what it needs into .venv.

PYTHON ?= python3
PORT   ?= 8700
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt

.PHONY: demo test check smoke format client docs bench clean

demo: .venv/run          ## make three videos and show the library; ONCE=1 ends instead of serving on
	@$(BIN)/python examples/demo.py --port $(PORT) $(if $(ONCE),--once)

test: .venv/check        ## the whole suite, on SQLite, PostgreSQL and S3
	$(BIN)/python -m pytest -n auto --dist loadgroup

check: .venv/check       ## format, lint, types, tests, docs: the whole truth
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --dist loadgroup

smoke: .venv/check       ## one small order to each provider whose key is in the environment; it costs money
	$(BIN)/python -m pytest smoke --timeout 1000 -s

format: .venv/check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

client: .venv/check     ## the blocking client, written anew from the asynchronous one
	$(BIN)/python tools/blocking_client.py

docs: .venv/run          ## docs/api.md and docs/commands, written anew from what the code says
	$(BIN)/python -m rushes.api.openapi > docs/api.md.new
	@mv docs/api.md.new docs/api.md
	@rm -rf docs/commands.new
	$(BIN)/python -m rushes.cli.pages docs/commands.new
	@rm -rf docs/commands && mv docs/commands.new docs/commands

bench: .venv/bench       ## the figures of the README, measured here
	$(BIN)/python -m bench

clean:
	rm -rf .venv rushes-demo bench/.work .mypy_cache .ruff_cache .hypothesis

.venv/run: pyproject.toml constraints.txt | .venv/made
	@echo "installing Rushes into .venv …"
	@$(PIP) --editable .
	@touch $@

.venv/check .venv/bench: .venv/%: pyproject.toml constraints.txt | .venv/made
	@echo "installing Rushes and its $* tools into .venv …"
	@$(PIP) --editable '.[$*]'
	@touch $@ .venv/run

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rushes needs Python 3.11 or newer; name one with PYTHON=…")'
	@$(PYTHON) -m venv .venv
	@touch $@
