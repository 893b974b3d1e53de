# One make file for three programs and their tests.
#
# Sources are found by folder: a file put into a folder is built, so no list
# can be forgotten. Each .c is compiled once; what is no program's main file
# goes into an archive, from which programs and unit tests take what they use.

VERSION	:= 1.0
BUILD	?= build
CC	?= gcc
PREFIX	?= /usr/local
# make V=1 shows each command.
Q	:= $(if $(V),,@)

PKGS	:= openssl libevent libevent_openssl libevent_pthreads libxml-2.0 \
	   sqlite3 libgsasl jansson libidn libidn2 libunbound libseccomp libedit

WARN	:= -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	   -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	   -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wswitch-enum \
	   -Wimplicit-fallthrough -Wnull-dereference -Wconversion \
	   -Wsign-conversion -Wdouble-promotion -Werror
ifeq ($(findstring clang,$(CC)),)
WARN	+= -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wrestrict
endif

OPT	?= -O2 -g -D_FORTIFY_SOURCE=2
HARDEN	:= -fstack-protector-strong -fPIE
# System headers are not ours to warn about: -isystem for each library.
PKGCF	:= $(shell pkg-config --cflags $(PKGS) 2>/dev/null | \
	    sed 's/-I/-isystem /g')
ALLCF	:= -std=c11 -D_GNU_SOURCE -DMMP_VERSION='"$(VERSION)"' -I. $(PKGCF) \
	  $(OPT) $(HARDEN) $(WARN) $(SAN) -pthread -MMD -MP
LINK	= $(CC) $(OPT) $(SAN) -pthread -pie -Wl,-z,relro,-z,now
LIBS	:= $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lraft -lcrypt -lresolv \
	   -lwslay -lhttp_parser

DIRS_xmppd	:= xmppd xmppd/edge xmppd/link xmppd/router xmppd/cluster
SRC_common	:= $(sort $(wildcard common/*.c))
SRC_mmp		:= $(sort $(wildcard mmp/*.c))
SRC_xmppd	:= $(sort $(wildcard $(addsuffix /*.c,$(DIRS_xmppd))))
SRC_callbridge	:= $(sort $(wildcard callbridge/*.c))
SRC_testlib	:= $(sort $(wildcard tests/lib/*.c))
SRC_unit	:= $(sort $(wildcard tests/unit/test_*.c))
SRC_bench	:= $(sort $(wildcard tests/bench/*.c))
SRC_fuzz	:= $(sort $(wildcard tests/fuzz/*.c))

obj	= $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
ARCHIVES:= $(foreach a,testlib mmp xmppd callbridge common,$(BUILD)/lib$(a).a)
PROGRAMS:= $(foreach p,mmp xmppd callbridge,$(if $(wildcard $(p)/main.c),\
	   $(BUILD)/bin/$(p)))
UNIT	:= $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(SRC_unit))
BENCH	:= $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(SRC_bench))
FUZZ	:= $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(SRC_fuzz))

.PHONY: all build deps check compile-tests unit lint lab asan tsan fuzz bench \
    clean install

all: deps
	@$(MAKE) --no-print-directory build

build: $(PROGRAMS)

deps:
	@tests/lab/deps

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLCF) -c -o $@ $<

# It takes these in with .incbin, which -MMD does not see.
$(BUILD)/obj/common/varlink_text.o: $(wildcard common/*.varlink)

# An archive is made anew: a source that is gone must not linger in it.
$(BUILD)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(foreach a,common mmp xmppd callbridge testlib,$(eval \
	$(BUILD)/lib$(a).a: $(call obj,$(filter-out $(a)/main.c,$(SRC_$(a))))))

$(PROGRAMS): $(BUILD)/bin/%: $(BUILD)/obj/%/main.o $(BUILD)/lib%.a \
    $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(UNIT): $(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcmocka

$(BENCH): $(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(FUZZ): $(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(ARCHIVES)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

# Compiled, not run: for lint, with another compiler.
compile-tests: $(UNIT) $(BENCH) $(FUZZ)

unit: $(UNIT)
	@tests/unit/run $(BUILD) $(UNIT)

# Each part of the tests is a program of its own that ends with a line
# 'N passed, M failed'; tests/check runs them all and adds them up.
check: deps
	@$(MAKE) --no-print-directory build $(UNIT)
	@tests/check $(BUILD)

# Everything is several times slower here: PARTS are what meets foreign bytes.
# `make asan PARTS=` runs them all.
PARTS	?= unit c2s component mmp rfc6120_xml rfc6120_forwarding \
	   rfc6120_limits rfc6120_hostile rfc7395 rfc7622_addresses

asan: deps
	@$(MAKE) --no-print-directory BUILD=build/asan OPT='-O1 -g' \
	    SAN='-fsanitize=address,undefined -fno-sanitize-recover=all' \
	    asan-run

.PHONY: asan-run
asan-run: build $(UNIT)
	@tests/check $(BUILD) --sanitized $(PARTS)

# Threads: what the edges, the store and Raft share. TSAN_PARTS as above.
TSAN_PARTS ?= unit c2s component mmp trouble

tsan: deps
	@$(MAKE) --no-print-directory BUILD=build/tsan OPT='-O1 -g' \
	    SAN='-fsanitize=thread -Wno-error' PARTS='$(TSAN_PARTS)' asan-run

lab: deps
	@$(MAKE) --no-print-directory build
	@tests/lab/lab up

lint: deps
	@tests/lint/run

fuzz: deps
	@tests/fuzz/run

bench: deps
	@$(MAKE) --no-print-directory build $(BENCH)
	@tests/bench/run $(BUILD)

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin \
	    $(DESTDIR)$(PREFIX)/share/man/man7 \
	    $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(BUILD)/bin/mmp $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(BUILD)/bin/xmppd $(BUILD)/bin/callbridge \
	    $(DESTDIR)$(PREFIX)/sbin
	install -m 644 man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 644 man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8

clean:
	rm -rf build

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
