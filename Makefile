# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets: those whose line has a ## sentence.
SHELL   := /bin/bash
CC      ?= gcc
BUILD   ?= build
PYTHON  := /usr/bin/python3
SAN     ?=

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
OPT     ?= -O2
CFLAGS  += -std=gnu11 -g $(OPT) $(WARN) -fno-omit-frame-pointer -D_GNU_SOURCE -I. $(PKG_CFLAGS) $(SANFLAGS)
LDFLAGS += $(SANFLAGS)

ifneq ($(SAN),)
BUILD    := build-$(SAN)
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined
OPT      := -O1
endif

PKGS       := libuv openssl libxml-2.0 libosip2 opus speexdsp spandsp sqlite3 inih libsystemd jansson ogg
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)

# Archives in the order of the layers, and what each may call (everything below it).
L_base   := base
L_ev     := ev base
L_tls    := tls ev base
L_xml    := xml base
L_http   := http tls ev base
L_sip    := sip tls ev base
L_sdp    := sdp base
L_rtp    := rtp base
L_ice    := ice base
L_c3p    := c3p xml base
L_audio  := audio base
L_media  := media audio rtp ice ev base
L_chat   := chat xml base
L_focusd := focusd c3p xml sip tls http ev base
L_mcu    := mcu media chat audio c3p xml sip sdp rtp ice tls http ev base

X_base   := -linih -lsystemd
X_ev     := -luv
X_tls    := -lssl -lcrypto
X_xml    := -lxml2
X_http   :=
X_sip    := -losipparser2
X_rtp    := -lcrypto
T_rtp    := -lsrtp2          # the oracle of its unit tests
X_ice    := -lcrypto
X_audio  := -lopus -logg -lspeexdsp -lspandsp -lm
X_media  := -lm
X_chat   :=
X_focusd := -lsqlite3 -ljansson
X_mcu    := -ljansson

DIR_base := lib/base
DIR_ev   := lib/ev
DIR_tls  := lib/tls
DIR_xml  := lib/xml
DIR_http := lib/http
DIR_sip  := lib/sip
DIR_sdp  := lib/sdp
DIR_rtp  := lib/rtp
DIR_ice  := lib/ice
DIR_c3p  := lib/c3p
DIR_audio := mcu/audio
DIR_media := mcu/media
DIR_chat := mcu/chat
DIR_focusd := focusd
DIR_mcu  := mcu
ARCHIVES := base ev tls xml http sip sdp rtp ice c3p audio media chat focusd mcu

archive  = $(BUILD)/lib/$(1).a
archives = $(foreach a,$(1),$(call archive,$(a)))
extlibs  = $(foreach a,$(1),$(X_$(a))) -lpthread

.PHONY: all help run test unit lua edge interop scenario fuzz bench sanitize soak soak-crowd check deps clean install
all: $(BUILD)/focusd $(BUILD)/mcu $(BUILD)/edge_preload.so prompts ## build the daemons into BUILD (default build)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
	@echo; echo "variables: BUILD=dir  SAN=1 (address and undefined behaviour sanitizers)  FUZZ_SECONDS=$(FUZZ_SECONDS)  SOAK_MINUTES=$(SOAK_MINUTES)"
	@echo "           RUN='options of scripts/conclave run'  PREFIX=$(PREFIX)  UNITDIR, DESTDIR for install"

FUZZFLAGS := -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined
$(BUILD)/fuzzobj/%.o: %.c
	@mkdir -p $(@D)
	@clang -std=gnu11 -D_GNU_SOURCE -I. $(PKG_CFLAGS) $(FUZZFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
.SECONDARY:

# One archive a folder; its unit tests and fuzzers are found by the prefix: test/unit/sip_msg.c tests lib/sip.
define ARCHIVE_RULE
SRC_$(1) := $$(filter-out %/main.c,$$(wildcard $$(DIR_$(1))/*.c))
OBJ_$(1) := $$(SRC_$(1):%.c=$(BUILD)/obj/%.o)
$$(call archive,$(1)): $$(OBJ_$(1))
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
$(BUILD)/unit/$(1)_%: test/unit/$(1)_%.c $$(call archives,$$(L_$(1)))
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(call archives,$$(L_$(1))) -Wl,--end-group $$(call extlibs,$$(L_$(1))) $$(T_$(1)) -lcmocka -lm
UNIT += $$(patsubst test/unit/%.c,$(BUILD)/unit/%,$$(wildcard test/unit/$(1)_*.c))
FUZZOBJ_$(1) := $$(SRC_$(1):%.c=$(BUILD)/fuzzobj/%.o)
$(BUILD)/fuzz/$(1)_%: $(BUILD)/fuzzobj/test/fuzz/$(1)_%.o $$(foreach a,$$(L_$(1)),$$(FUZZOBJ_$$(a)))
	@mkdir -p $$(@D)
	@echo "  FUZZ $$(@F)"
	@clang $(FUZZFLAGS) -fsanitize=fuzzer -o $$@ $$< $$(foreach a,$$(L_$(1)),$$(FUZZOBJ_$$(a))) $$(call extlibs,$$(L_$(1))) -lm
FUZZ += $$(patsubst test/fuzz/%.c,$(BUILD)/fuzz/%,$$(wildcard test/fuzz/$(1)_*.c))
endef
$(foreach a,$(ARCHIVES),$(eval $(call ARCHIVE_RULE,$(a))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/focusd: $(BUILD)/obj/focusd/main.o $(call archives,$(L_focusd))
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(call archives,$(L_focusd)) -Wl,--end-group $(call extlibs,$(L_focusd)) -lm

$(BUILD)/mcu: $(BUILD)/obj/mcu/main.o $(call archives,$(L_mcu))
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(call archives,$(L_mcu)) -Wl,--end-group $(call extlibs,$(L_mcu)) -lm

# --- what callers are told: mcu/prompts/LANG.txt, spoken by espeak-ng; mcu/prompts.h says who looks where
LANGS   := $(patsubst mcu/prompts/%.txt,%,$(wildcard mcu/prompts/*.txt))
PROMPTS := $(BUILD)/prompts/.made $(LANGS:%=$(BUILD)/prompts/%/.made)
.PHONY: prompts
prompts: $(PROMPTS) ## the mcu's announcements, WAV files in BUILD/prompts

$(BUILD)/prompts/.made: scripts/make-prompts
	scripts/make-prompts --sounds $(@D)
	@touch $@

$(BUILD)/prompts/%/.made: mcu/prompts/%.txt scripts/make-prompts
	scripts/make-prompts $< $(@D)
	@touch $@

# --- tests. `make test` is all of them; long ones have targets of their own.
FUZZ_SECONDS ?= 4
SOAK_MINUTES ?= 30
unit: $(UNIT) ## the unit tests
	@set -e; for t in $^; do echo "== $$t"; $$t; done

fuzz: $(FUZZ:%=%.run) ## each fuzz target for FUZZ_SECONDS on its corpus

$(BUILD)/fuzz/%.run: $(BUILD)/fuzz/%
	@mkdir -p $(BUILD)/corpus/$*; s=0; \
	$< -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=0 \
	  -artifact_prefix=$(BUILD)/ $(BUILD)/corpus/$* $$(ls -d test/data/corpus/$* 2>/dev/null) > $(BUILD)/fuzz/$*.log 2>&1 || s=$$?; \
	if [ $$s = 0 ]; then echo "fuzz $*: $(FUZZ_SECONDS) s, no finding"; else tail -n 60 $(BUILD)/fuzz/$*.log; exit 1; fi

# Independent software for the scenario tests.
$(BUILD)/interop/nice_peer: test/interop/nice_peer.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g $(OPT) $(WARN) -D_GNU_SOURCE $$(pkg-config --cflags nice gio-2.0) -o $@ $< $$(pkg-config --libs nice gio-2.0)

# A headless user of pidgin-sipe; -rdynamic because it stands in front of one function of libxml2 (see its main.c).
SIPE_PKGS := purple gstreamer-1.0 gstreamer-app-1.0 jansson libxml-2.0 gmodule-2.0
$(BUILD)/interop/sipe_driver: $(wildcard test/interop/sipe/*.c) test/interop/sipe/driver.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g $(OPT) $(WARN) -D_GNU_SOURCE -I/usr/include $$(pkg-config --cflags $(SIPE_PKGS)) -rdynamic -o $@ \
	  $(filter %.c,$^) -Wl,--no-as-needed $$(pkg-config --libs $(SIPE_PKGS)) -ldl -lm

interop: all $(BUILD)/interop/sipe_driver ## stock clients (pidgin-sipe) against a real group
	CONCLAVE_BUILD=$(BUILD) $(PYTHON) -m pytest -q -p no:cacheprovider test/interop

# Three files at a time, each with a group of its own: they wait more than they work.
SCENARIO_JOBS ?= 3
scenario: all $(BUILD)/interop/nice_peer ## calls, rosters, faults against real groups
	CONCLAVE_BUILD=$(BUILD) $(PYTHON) -m pytest -q -n $(SCENARIO_JOBS) --dist loadfile test/scenario

# A report of a sanitizer is a file in SAN_BUILD/reports, whatever its process did afterwards.
SAN_BUILD := $(BUILD)-san
SAN_TESTS ?= test/scenario/test_call.py test/scenario/test_roster.py test/scenario/test_c3p.py
SAN_LOG   := log_path=$(abspath $(SAN_BUILD))/reports/report:print_stacktrace=1
# The engine's tests listen to sound in real time, which sanitized code on a small machine does not always keep up with: CI leaves them
# out here (SAN_UNITS_BUT); `make sanitize` by hand runs them.
san-unit: $(filter-out $(SAN_UNITS_BUT:%=$(BUILD)/unit/%),$(UNIT))
	@set -e; for t in $^; do echo "== $$t"; $$t; done

sanitize: ## unit tests and SAN_TESTS with sanitized daemons
	rm -rf $(SAN_BUILD)/reports; mkdir -p $(SAN_BUILD)/reports
	$(MAKE) -j$(JOBS) SAN=1 BUILD=$(SAN_BUILD) all
	export ASAN_OPTIONS=$(SAN_LOG):detect_stack_use_after_return=1 UBSAN_OPTIONS=$(SAN_LOG); \
	$(MAKE) -j$(JOBS) SAN=1 BUILD=$(SAN_BUILD) san-unit && CONCLAVE_BUILD=$(SAN_BUILD) $(PYTHON) -m pytest -q $(SAN_TESTS); s=$$?; \
	for f in $(SAN_BUILD)/reports/*; do [ ! -e "$$f" ] || { echo "== $$f"; cat "$$f"; s=1; }; done; exit $$s

soak: all ## calls and joins for SOAK_MINUTES; memory, descriptors and sessions must not grow
	CONCLAVE_BUILD=$(BUILD) $(PYTHON) test/soak/soak.py $(SOAK_MINUTES)

CROWD_MINUTES ?= 60
CROWD_PHONES  ?= 500
$(BUILD)/soak/phones: test/soak/phones.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g $(OPT) $(WARN) -o $@ $<

soak-crowd: all $(BUILD)/soak/phones ## CROWD_PHONES (500) come and go for CROWD_MINUTES (60): memory, clocks, missed ticks
	CONCLAVE_BUILD=$(BUILD) $(PYTHON) test/soak/crowd.py $(CROWD_MINUTES) $(CROWD_PHONES)

# --- the edge and the operator's scripts
deps: ## install the Debian packages that are missing
	scripts/install-packages

run: deps ## build and run a group: edge, focus, media server, relay
	$(MAKE) -j$(JOBS) all
	CONCLAVE_BUILD=$(BUILD) scripts/conclave run $(RUN)

# Lua syntax, kamailio -c, focusd --check, mcu --check; what the pages name is there.
check: ## syntax of scripts and configuration; the pages against the sources
	CONCLAVE_BUILD=$(BUILD) scripts/conclave check
	scripts/check-docs

lua: ## unit tests of the edge script
	@set -e; for t in $(sort $(wildcard test/unit_lua/*.lua)); do echo "== $$t"; lua5.1 $$t; done

# Preloaded into Kamailio; see the file's head.
$(BUILD)/edge_preload.so: kamailio/edge_preload.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g $(OPT) $(WARN) -fPIC -shared -o $@ $<

# The real edge between played daemons.
edge: $(BUILD)/edge_preload.so ## the edge between played daemons
	CONCLAVE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider test/edge

# One runner after the other: two would disturb each other's clocks.
JOBS ?= $(shell nproc)
test: deps ## all of check lua unit fuzz edge scenario interop
	$(MAKE) -j$(JOBS) all
	$(MAKE) check lua
	$(MAKE) -j$(JOBS) unit
	$(MAKE) -j$(JOBS) fuzz
	$(MAKE) edge
	$(MAKE) scenario
	$(MAKE) interop

# --- figures (docs: test/bench/README.md). BENCH=quick: a minute and a half; BENCH=full; BENCH=capacity: the largest room
BENCH ?= full
BENCH_L   := media audio rtp ice ev base
BENCH_BIN := floor engine load sound kernels
define BENCH_RULE
BENCH_OBJ_$(1) := $$(patsubst %.c,$(BUILD)/obj/%.o,$$(wildcard test/bench/$(1)/*.c))
$(BUILD)/bench/$(1): $$(BENCH_OBJ_$(1)) $$(call archives,$(BENCH_L))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$(BENCH_OBJ_$(1)) -Wl,--start-group $$(call archives,$(BENCH_L)) -Wl,--end-group $$(call extlibs,$(BENCH_L)) -lm
endef
$(foreach b,$(BENCH_BIN),$(eval $(call BENCH_RULE,$(b))))

bench: all $(BENCH_BIN:%=$(BUILD)/bench/%) ## the figures, against the floor (BENCH=quick, full, capacity)
	CONCLAVE_BUILD=$(BUILD) $(PYTHON) test/bench/bench.py $(BENCH)

PREFIX  ?= /usr/local
UNITDIR ?= /lib/systemd/system
LIBDIR  := $(PREFIX)/lib/conclave
install: all ## below PREFIX, with units for systemd
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/scripts/conclave_lib $(DESTDIR)$(LIBDIR)/kamailio/policy.d
	install -d $(DESTDIR)$(UNITDIR)
	install -m 755 $(BUILD)/focusd $(BUILD)/mcu $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 scripts/conclave scripts/install-packages $(wildcard scripts/confctl) $(DESTDIR)$(LIBDIR)/scripts/
	install -m 644 scripts/conclave_lib/*.py $(DESTDIR)$(LIBDIR)/scripts/conclave_lib/
	install -m 644 kamailio/*.lua kamailio/kamailio.cfg $(BUILD)/edge_preload.so $(DESTDIR)$(LIBDIR)/kamailio/
	install -m 644 kamailio/policy.d/* $(DESTDIR)$(LIBDIR)/kamailio/policy.d/
	ln -sf $(LIBDIR)/scripts/conclave $(DESTDIR)$(PREFIX)/bin/conclave
	[ ! -f scripts/confctl ] || ln -sf $(LIBDIR)/scripts/confctl $(DESTDIR)$(PREFIX)/bin/confctl
	for u in systemd/*.service systemd/*.target; do \
	  sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' $$u > $(DESTDIR)$(UNITDIR)/$$(basename $$u); done
	install -D -m 644 systemd/conclave.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/conclave.conf
	for l in '' $(LANGS:%=/%); do install -d $(DESTDIR)$(PREFIX)/share/conclave/prompts$$l; \
	  install -m 644 $(BUILD)/prompts$$l/*.wav $(DESTDIR)$(PREFIX)/share/conclave/prompts$$l/; done
	for n in 1 8; do install -d $(DESTDIR)$(PREFIX)/share/man/man$$n; \
	  install -m 644 docs/man/*.$$n $(DESTDIR)$(PREFIX)/share/man/man$$n/; done
	install -d $(DESTDIR)$(PREFIX)/share/doc/conclave; install -m 644 README.md CHANGELOG.md docs/*.md $(DESTDIR)$(PREFIX)/share/doc/conclave/

clean: ## remove build directories
	rm -rf build build-san

-include $(shell find $(BUILD)/obj $(BUILD)/fuzzobj -name '*.d' 2>/dev/null)
