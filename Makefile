# Skep's front door. `make` builds, `make test` tests, `make demo` shows; the rest stands in CONTRIBUTING.md.
# CMake does the work: the presets are in CMakePresets.json.

SHELL := /bin/bash
.DEFAULT_GOAL := all
.NOTPARALLEL:

PREFIX ?= /usr/local

.PHONY: all setup release test demo demo-chat demo-sql bench pack fuzz test-asan test-tsan leaks format tidy install clean distclean help

all: setup release ## install what is missing, build everything

setup: ## install the Debian packages and the SQLite sources that are missing
	@scripts/setup.sh build

release:
	@cmake --preset release >/dev/null && cmake --build --preset release

test: ## build, then run all tests; ends with "N passed, N failed"
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory release
	@scripts/test.sh build

demo: all ## a server with five small programs in TypeScript, and their page
	@scripts/setup.sh npm
	@npm run --silent build
	@scripts/demo.sh

demo-chat: all ## the same in small and in C++: a page with chat rooms
	@scripts/demo-chat.sh

demo-sql: all ## a sample fleet of databases, and a shell on one of them
	@scripts/demo-sql.sh

bench: all ## run every benchmark in build/bench
	@scripts/bench.sh

pack: ## the npm packages, with the native part of this platform, in build/packages
	@scripts/setup.sh pack
	@$(MAKE) --no-print-directory release
	@npm run --silent build && scripts/pack.sh build

fuzz: ## run each fuzz target for SECONDS_EACH (60) and add what it finds to its corpus
	@scripts/setup.sh fuzz
	@fuzz/run.sh $(or $(SECONDS_EACH),60)

test-asan: ## the tests with the address and undefined-behaviour sanitizers
	@scripts/setup.sh test
	@cmake --preset asan >/dev/null && cmake --build --preset asan
	@scripts/test.sh build/asan

test-tsan: ## the tests with the thread sanitizer
	@scripts/setup.sh test
	@cmake --preset tsan >/dev/null && cmake --build --preset tsan
	@scripts/test.sh build/tsan

leaks: ## the addon under LeakSanitizer, with WAKES (20000) actors woken
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory release
	@npm run --silent build && scripts/leaks.sh build

format: ## clang-format every source file
	@scripts/setup.sh format
	@git ls-files '*.h' '*.cc' | xargs clang-format -i

tidy: ## clang-tidy over the sources (needs the packages clang-tidy and clang)
	@cmake --preset dev >/dev/null && git ls-files 'src/*.cc' | xargs clang-tidy -p build/dev --quiet

install: all ## install the command, the libraries and the CMake package under PREFIX
	@DESTDIR=$(DESTDIR) cmake --install build --prefix $(PREFIX)

clean: ## remove the build
	@rm -rf build packages/*/dist

distclean: clean ## and what set-up and the demo fetched or made
	@rm -rf node_modules */*/node_modules examples/*/dist demo-data workspace-data

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
