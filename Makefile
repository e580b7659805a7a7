# The commands of everyday work. Each first installs what it needs (tools/setup: at once when
# nothing is missing) and then leaves the work to CMake, Ninja and the scripts in tools/.
#
#   make          build/bin/gregaria and all that a user runs
#   make demo     ten seconds of load on the example shop
#   make test     every test; the last line is "N passed, N failed"
#   make lint     format, layers, warnings
#   make bench    the benchmarks (bench/run)
#   make format   let clang-format rewrite the C files
#   make clean    remove everything that was built

.PHONY: build demo test lint bench format clean

build:
	@tools/setup build
	@tools/build

demo: build
	@tools/demo

test:
	@tools/setup build test
	@tools/test

lint:
	@tools/setup build test lint
	@tools/lint

bench:
	@tools/setup build bench
	@tools/build
	@bench/run

format:
	@tools/setup lint
	@tools/lint --format

clean:
	@rm -rf build build-*
