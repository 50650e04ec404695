# Needs Python 3.11 or newer, make and git; everything else is installed into $(VENV) from constraints.txt.
VENV ?= .venv
PEERS ?= .peers
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
PEERS_STAMP := $(PEERS)/.made
BENCH_PEERS_STAMP := $(PEERS)/.made-bench
export INFOREG_PEERS_PYTHON ?= $(abspath $(PEERS))/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo test check gate peers bench-peers round-trips bench bench-deformable docs fuzz clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-18s%s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## Register a made-up T2 to the MNI152 T1 template; prints the error before and after, and the report's path
	$(BIN)/inforeg demo --overwrite $(ARGS)

test: $(STAMP) ## Run the tests, two files at a time; ARGS="-m 'not slow'" leaves out the slow ones, ARGS="-n 0" takes one by one
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: $(STAMP) ## Lint, types and floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

gate: $(STAMP) $(PEERS_STAMP) ## Hold the geometry of every format, in every orientation, against other people's readers
	INFOREG_REQUIRE_PEERS=1 $(BIN)/pytest tests/geometry $(ARGS)

peers: $(PEERS_STAMP) ## Make the environment that the gate runs ANTs in, which `make test` uses where it is there

bench-peers: $(BENCH_PEERS_STAMP) ## Put elastix and greedy there too, for `inforeg bench`: 1.6 GB

round-trips: $(STAMP) ## Write and read 10,000 random files of every kind: an hour or two
	$(BIN)/pytest --hypothesis-profile=thorough --timeout=0 tests/laws/test_round_trips.py $(ARGS)

bench: $(STAMP) ## Measure linear registration against other tools: make bench DATA=folder
	$(BIN)/python benchmarks/linear/run.py $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-deformable: $(STAMP) $(BENCH_PEERS_STAMP) ## The same for deformable registration: make bench-deformable DATA=folder OUT=folder
	@test -n "$(OUT)" || { echo "expected a folder for the results: make bench-deformable DATA=folder OUT=folder" >&2; exit 1; }
	$(BIN)/inforeg bench deformable --output "$(OUT)" $(if $(DATA),--data "$(DATA)") $(ARGS)

docs: $(STAMP) ## Run every block of the documentation
	$(BIN)/pytest tests/docs $(ARGS)

fuzz: $(STAMP) ## Read damaged files with every reader: make fuzz ARGS="--minutes 60"
	$(BIN)/python tests/fuzz/run.py $(ARGS)

clean: ## Remove the environment and everything made
	rm -rf $(VENV) $(PEERS) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "expected Python 3.11 or newer, found none; install it or say make PYTHON=path" >&2; exit 1; }
	@echo "making $(VENV): PyTorch is large, this takes a minute or more"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[demo,dev]'
	@touch $@

$(PEERS_STAMP): benchmarks/peers-constraints.txt
	@test -n "$(PYTHON)" || { echo "expected Python 3.11 or newer, found none; install it or say make PYTHON=path" >&2; exit 1; }
	@echo "making $(PEERS): ANTs and what it needs, half a minute"
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --constraint benchmarks/peers-constraints.txt antspyx
	@touch $@

$(BENCH_PEERS_STAMP): $(PEERS_STAMP)
	@echo "adding elastix and greedy to $(PEERS): ITK is large, this takes minutes"
	$(PEERS)/bin/python -m pip install --quiet --constraint benchmarks/peers-constraints.txt itk-elastix picsl_greedy
	@touch $@
