# SPDX-License-Identifier: GPL-2.0-or-later
# Names for the targets of meson.build, which make and people use.
BUILD_DIR ?= build
prefix ?= /usr/local
FUZZ_TIME ?= 600

# A build directory that was never configured, or not for this checkout, is.
ninja = @./configure --again --build-dir="$(BUILD_DIR)" && \
	MAKEFLAGS= ninja -C "$(BUILD_DIR)" --quiet
# What wants more than configure saw to says what: steps of scripts/packages.
with = @./configure --again --build-dir="$(BUILD_DIR)" && \
	scripts/packages --build-dir "$(BUILD_DIR)" $(1) && MAKEFLAGS=
step = $(call with,$(1)) ninja -C "$(BUILD_DIR)" --quiet
check = $(call with,$(1)) /usr/bin/python3 scripts/check "$(BUILD_DIR)" $(1)
series = @./configure --again --build-dir="$(BUILD_DIR)" && \
	scripts/series --build-dir "$(BUILD_DIR)"

all:		## build/qemu-system-x86_64, from the assembled series
	$(ninja) qemu.target
base:		## the pristine QEMU, for comparisons, in build/base
	$(ninja) base.target
full:		## a QEMU with what desktops use, in build/full (long)
	$(call step,desktop) full.target
kernel:		## the lab's Linux kernel
	$(call step,linux) kernel.target
image:		## the lab's initramfs, with the QEMU of "all" in it
	$(call step,linux) image.target
demo:		## the demonstration: host devices in a lab with 39 and 48 bits
	$(call step,linux) demo.target
docs:		## QEMU's manual in build/docs/html, without a warning
	$(call step,docs) docs.target
check:		## every check but the long ones
	$(call check,series unit qtest build libvirt lab $(ALSO))
check-series:	## the series: applies, is well-formed, belongs together
	$(call check,series)
check-unit:	## our unit tests
	$(call check,unit)
check-qtest:	## our qtests, and those of QEMU that concern us
	$(call check,qtest)
check-lab:	## a Linux host and guest with VFIO, on an emulated IOMMU
	$(call check,lab)
check-lab-long:	## the lab's long ones: endurance, costs, failover, vDPA
	$(call check,lab-long)
check-selftests:	## Linux' own VFIO selftests, on the lab's hosts (long)
	$(call check,selftests)
check-libvirt:	## domains of a private libvirtd, and what it probes
	$(call check,libvirt)
check-libvirts:	## the same with those of Debian 12, 13 and testing (long)
	$(call with,libvirts) failed=; \
	for suite in bookworm trixie testing; do \
		/usr/bin/python3 scripts/check "$(BUILD_DIR)" libvirt-$$suite || \
			failed=yes; \
	done; [ -z "$$failed" ]
check-full:	## the QEMU of "full" under libvirt (long)
	$(call check,full)
check-build:	## configure, source and bad input
	$(call check,build)
check-sanitize:	## the qtests and unit tests with ASan and UBSan (long)
	$(call check,sanitize)
coverage:	## what our tests run of our C files, line by line
	$(call check,coverage)
check-storm:	## four vCPUs at once, with ASan and with TSan, 20 minutes (long)
	$(call check,storm)
check-random:	## the random comparisons, 10,000 steps, also sanitized (long)
	$(call check,random)
bench:		## what things cost, beside the pristine QEMU (long)
	$(call step,bench) base-testdev.target image.target
	@/usr/bin/python3 bench/bench "$(BUILD_DIR)"
check-bisect:	## each prefix builds, each series passes its tests (long)
	$(call check,bisect)
check-mingw:	## our files with a compiler for Windows
	$(call step,mingw) qemu.target
	@scripts/mingw "$(BUILD_DIR)"
fuzz:		## hostile guests, hosts and streams for FUZZ_TIME=600 s (long)
	$(call step,fuzz) qemu.target
	@scripts/fuzz "$(BUILD_DIR)" $(FUZZ_TIME) $(FUZZ_TARGETS)
series:		## mail-ready patches, a folder for each series in build/series
	$(series) export
debian-source:	## Debian's source package with the series, in build/debian
	$(call step,debian-source) debian-microvm.target
	@scripts/debian-source --build-dir "$(BUILD_DIR)"
install:	## QEMU below prefix (/usr/local), with DESTDIR before it
	$(ninja) qemu.target
	@DESTDIR="$(DESTDIR)" scripts/install --build-dir "$(BUILD_DIR)" \
		"$(prefix)"
clean:		## remove the build directory
	rm -rf "$$(realpath -m "$(BUILD_DIR)")" "$(BUILD_DIR)"
help:		## this list
	@sed -n 's/^\([a-z-]*\):\t*## \(.*\)/  make \1\t\2/p' Makefile | \
		expand -t 24
	@echo "make BUILD_DIR=DIR ... for a build directory other than build"

.PHONY: all base full kernel image demo docs check check-series check-unit \
	check-qtest check-lab check-lab-long check-selftests check-libvirt \
	check-libvirts check-full check-build check-sanitize check-storm \
	check-random coverage bench check-bisect check-mingw fuzz series \
	debian-source install clean help
