# `make demo` and `make test` are all a new clone needs.

SOURCES := Makefile Cargo.toml Cargo.lock pyproject.toml tools/make-venv \
           $(shell find rust python -type f \( -name '*.rs' -o -name '*.toml' -o -name '*.py' -o -name '*.pyi' -o -name '*.yaml' -o -name '*.json' \))
# Where the demo writes; ARGS are passed to it, e.g. make demo ARGS="--frames ../shared/data/frames/nickel2019"
DEMO ?= demo-output
ARGS ?=

.PHONY: demo test lint stub-check bench clean

.venv/.installed: $(SOURCES)
	@tools/make-venv .venv

demo: .venv/.installed
	.venv/bin/armillary demo $(DEMO) $(ARGS)

test: .venv/.installed
	cargo test --workspace --exclude armillary-py --quiet
	.venv/bin/python -m pytest --ignore tests/peer

lint: .venv/.installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	.venv/bin/python -m pip install --quiet --disable-pip-version-check ruff mypy types-PyYAML  # the extra `lint`
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/stubtest armillary._core --allowlist tests/values/stubtest_allowlist.txt

bench:
	cargo bench --package benches

clean:
	rm -rf .venv target demo-output
