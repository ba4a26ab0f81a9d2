# Everything a person does with this repository. `make` alone explains.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/sbin:/sbin
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help quickstart status down test test-extended matrix lint unit sanity units app-test gateway-test test-skupper molecule browser bench build docs demo-gguf cluster cluster-down apiserver apiserver-down clean dev

help:
	@echo 'make quickstart       a private model and its chatbot on this machine (MODEL=deepseek: the real one, 3.6 GB)'
	@echo 'make status           what runs'
	@echo 'make down             remove it (PURGE=1: also images, models, key and cache)'
	@echo 'make test             the whole test suite'
	@echo 'make matrix           the collection on another ansible-core and Python (CELL=core-2.16, core-2.19 or newest)'
	@echo 'make lint unit        the fast part of it'
	@echo 'make cluster          a Kubernetes of two nodes on this machine, as the tests use it (make cluster-down)'
	@echo 'make apiserver        its API alone, without nodes (make apiserver-down)'
	@echo 'make bench            measure the running quickstart'
	@echo 'make build            the collection as an archive'
	@echo 'make docs             the reference of modules and roles (build/reference)'

quickstart:
	@MODEL='$(MODEL)' tools/quickstart.sh

status:
	@tools/bootstrap.sh
	@.venv/bin/ansible-playbook -i inventories/quickstart playbooks/status.yml

down:
	@tools/bootstrap.sh
	@.venv/bin/ansible-playbook -i inventories/quickstart playbooks/teardown.yml $(if $(PURGE),-e private_ai_purge=true)

dev:
	@tools/bootstrap.sh --dev

test: dev
	@$(PYTHON) tools/run_tests.py all

test-extended: dev
	@$(PYTHON) tools/run_tests.py all extended

CELL ?= core-2.16
matrix: dev
	@$(PYTHON) tools/run_tests.py matrix-$(CELL)

# Asked for together they run together, which leaves no processor idle.
FAST := $(filter lint unit,$(MAKECMDGOALS))
lint unit: dev
	@[ $@ != $(firstword $(FAST)) ] || $(PYTHON) tools/run_tests.py $(if $(word 2,$(FAST)),fast,$@)

sanity units molecule browser: dev
	@$(PYTHON) tools/run_tests.py $@

app-test: dev
	@$(PYTHON) tools/run_tests.py app

gateway-test: dev
	@$(PYTHON) tools/run_tests.py gateway

test-skupper: dev
	@$(PYTHON) tools/run_tests.py skupper

cluster: dev
	@$(PYTHON) -m tests.cluster up

cluster-down:
	@$(PYTHON) -m tests.cluster down

apiserver: dev
	@$(PYTHON) -m tests.cluster up --only-api

apiserver-down:
	@$(PYTHON) -m tests.cluster down --only-api

bench: dev
	@$(PYTHON) tests/bench/bench_stack.py

build: dev
	@mkdir -p dist && .venv/bin/ansible-galaxy collection build --force --output-path dist

# As tests/packaging/test_pages.py renders the installed collection.
docs: dev
	@mkdir -p build/reference && chmod 700 build/reference
	@.venv/bin/antsibull-docs collection --use-current --fail-on-error --squash-hierarchy --dest-dir build/reference private_ai.chatbot

# The converted file of the demo model anew, after a change of its weights.
demo-gguf: dev
	@.venv/bin/ansible-playbook -i localhost, -c local -e ansible_python_interpreter=$(CURDIR)/$(PYTHON) \
		roles/private_model/files/demo_model/training/convert.yml

clean:
	rm -rf .venv .cache .ansible dist .pytest_cache .mypy_cache .ruff_cache
