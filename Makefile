# `make demo` and `make test` are all the set-up there is: both make .venv first when it is missing
# or out of date. `make` alone lists the rest.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
STAMP := $(VENV)/installed
PY := $(VENV)/bin/python
PORT ?= 8000
ARGS ?=

# The newest Python that runs and can make a virtual environment. A name on the PATH proves nothing:
# a pyenv shim may exist and fail. PYTHON=... on the command line or in the environment overrides.
CANDIDATES := python3.13 python3.12 python3.11 python3
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON = for name in $(CANDIDATES); do \
	if "$$name" -c '$(USABLE)' >/dev/null 2>&1; then echo "$$name"; break; fi; done

# What .venv must be: it runs, has pip, is new enough, and is of PYTHON's version where one is named.
# Else it is made anew, whatever the stamp says.
VERSION := import sys; print(*sys.version_info[:2], sep=".")
HAS := $(shell $(PY) -c 'import pip; $(USABLE)' 2>/dev/null && $(PY) -c '$(VERSION)')
WANTS := $(if $(PYTHON),$(shell $(PYTHON) -c '$(VERSION)' 2>/dev/null || echo unusable),$(HAS))
REMAKE := $(if $(and $(HAS),$(filter $(HAS),$(WANTS))),,yes)
ifdef REMAKE
.PHONY: $(STAMP)
endif

.PHONY: help install demo test simulate proof bench check audit format
help: ## list these targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
		| awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'

install: $(STAMP) ## make .venv, or bring it up to date (PYTHON=python3.12 chooses the Python)

$(STAMP): requirements.txt pyproject.toml
	@if [ -n "$(REMAKE)" ]; then \
		python="$(PYTHON)"; \
		if [ -z "$$python" ]; then python=$$($(FIND_PYTHON)); fi; \
		if [ -z "$$python" ]; then \
			echo "make: no usable Python 3.11 or newer among: $(CANDIDATES)." >&2; \
			echo "      Install one (Debian, Ubuntu: apt-get install python3 python3-venv)" >&2; \
			echo "      or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
		if ! "$$python" -c '$(USABLE)' >/dev/null 2>&1; then \
			echo "make: PYTHON=$$python does not run, is older than 3.11, or lacks venv" >&2; \
			echo "      (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
		"$$python" -m venv --clear $(VENV); \
	fi
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	@touch $@

demo: install ## run the portal and billing until Ctrl-C (PORT=8000)
	@exec $(PY) manage.py demo --port $(PORT)

# Some processes with a module at a time each, unless ARGS say what to run and how.
HOW = $(if $(strip $(ARGS)),$(ARGS),-n auto --dist loadfile)

# A failure on one database hides none on the next, or in the browser. pytest's status 5 is "no test
# was selected": with ARGS that may be so on one database, without never.
test: install ## run the tests, on every database that answers (ARGS="-k lease" goes to pytest)
	@failed=; \
	echo "== All tests, on SQLite"; \
	JWT_OUTBOUND_TEST_DB=sqlite $(PY) -m pytest $(HOW) || failed="$$failed sqlite"; \
	databases=$$($(PY) -m tests.which_databases) || exit 1; \
	for database in $$databases; do \
		echo "== The tests marked 'database' again, on $$database"; \
		JWT_OUTBOUND_TEST_DB=$$database $(PY) -m pytest -m database $(HOW); status=$$?; \
		[ $$status -eq 0 ] || [ $$status -eq $(if $(strip $(ARGS)),5,0) ] \
			|| failed="$$failed $$database"; \
	done; \
	$(if $(strip $(ARGS)),,if found=$$($(PY) -m tests.browser.chromium); then \
		echo "== In a browser: $$found"; \
		$(PY) -m pytest -n 2 tests/browser || failed="$$failed browser"; \
		else echo "== $$found"; fi;) \
	if [ -n "$$failed" ]; then echo "== Failed:$$failed" >&2; exit 1; fi; \
	echo "== Passed on: sqlite $$databases"

SCHEDULES ?= 100000
SEED ?=
simulate: install ## the refresh under 100,000 random schedules (SCHEDULES=1000; SEED=7 replays one)
	@exec $(PY) -m tests.simulation $(if $(SEED),--seed $(SEED) --replay,--schedules $(SCHEDULES))

proof: install ## the figures behind docs/promises.md: stampedes on every database, then schedules
	@$(PY) -m tests.concurrency
	@$(PY) -m tests.simulation --schedules 20000

bench: install ## the figures of docs/benchmarks.md, an hour (ARGS=--quick: only, do they run?)
	@exec $(PY) -m benchmarks $(if $(ARGS),$(ARGS),--write)

check: install ## formatting, lint, types, migrations, system checks, import layers
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py check --fail-level WARNING
	$(PY) -m pytest -q tests/test_layers.py tests/test_revealing.py

# Not a part of check: what is known of holes changes without us, and the registry may not answer.
AUDIT := var/audit
audit: install ## ask pip-audit for known holes in what .venv holds (needs the network)
	@[ -x $(AUDIT)/bin/pip-audit ] || { $(PY) -m venv $(AUDIT) \
		&& $(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; } || \
		{ echo "make: pip-audit can't be installed here, so nothing was audited" >&2; exit 0; }; \
	$(AUDIT)/bin/pip-audit --skip-editable \
		--path "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

format: install ## let ruff format and mend what it can
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
