#!/bin/bash
# A C project is built, run, rebuilt and cleaned inside a session.
. "$(dirname "$0")/lib.sh"
need_tool make cc ar
setup
P=$(session project code)/src
mkdir -p "$P"

python3 - "$P" <<'PY'
import os, sys
base = sys.argv[1]
for n in range(20):
    open(os.path.join(base, f"part{n}.c"), "w").write(
        f'#include "all.h"\nint part{n}(int x)\n{{\n\treturn x + {n};\n}}\n')
open(os.path.join(base, "all.h"), "w").write("".join(f"int part{n}(int x);\n" for n in range(20)))
open(os.path.join(base, "plugin.c"), "w").write("int answer(void)\n{\n\treturn 42;\n}\n")
open(os.path.join(base, "main.c"), "w").write('''#include "all.h"
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	int x = 0;
	void *lib = dlopen(argv[argc - 1], RTLD_NOW);
	int (*answer)(void) = lib ? (int (*)(void))dlsym(lib, "answer") : 0;
''' + "".join(f"\tx = part{n}(x);\n" for n in range(20)) + '''
	printf("%d %d\\n", x, answer ? answer() : -1);
	return 0;
}
''')
open(os.path.join(base, "Makefile"), "w").write('''OBJECTS = $(patsubst %.c,%.o,$(wildcard part*.c))
all: prog plugin.so
prog: main.o libparts.a
	$(CC) -o $@ $^ -ldl
libparts.a: $(OBJECTS)
	ar rcs $@ $^
plugin.so: plugin.c
	$(CC) -shared -fPIC -o $@ $<
%.o: %.c all.h
	$(CC) -c -O1 -o $@ $<
	@echo built $@
clean:
	rm -f *.o *.a *.so prog
''')
PY

must "make" make -s -C "$P" -j2
same "the program runs from the mount, with its plugin" "190 42" "$("$P/prog" "$P/plugin.so")"
empty "a second make has nothing to do" "$(make -s -C "$P")"
check_not "a running program cannot be written to" bash -c "'$P/prog' '$P/plugin.so' | cat; cp /bin/sleep '$P/busy'
	'$P/busy' 30 & trap 'kill %1' EXIT; sleep 0.3; echo x >>'$P/busy'"
touch "$P/part7.c"
same "make builds again what was touched" "built part7.o" "$(make -s -C "$P" | grep built)"
remount
empty "make has nothing to do after a restart" "$(make -s -C "$P")"
same "the program runs after a restart" "190 42" "$("$P/prog" "$P/plugin.so")"
must "make clean" make -s -C "$P" clean
same "only the sources remain" 24 "$(find "$P" -type f ! -name busy | wc -l)"
must "make from scratch" make -s -C "$P" -j2
