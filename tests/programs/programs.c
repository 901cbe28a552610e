// SPDX-License-Identifier: MIT
/*
 * programs.c - the table, and the inputs: small, deterministic, and enough for some tenths of a second.
 */
#include "tests/programs/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char query[] = "with recursive c(x) as (select 1 union all select x+1 from c where x<120000) "
                            "select count(*), sum(length(p)), max(p) from (select printf('%d-%s', x, hex(x)) "
                            "p, x%7 g from c order by p)";
static const char filter[] =
        "[.[] | {k: .id, n: (.tags | join(\",\")), v: (.v.a * 2 | tostring)}] | sort_by(.n) | length";
static const char script[] =
        "import json, re\n"
        "rows = [{'a': list(range(i % 50)), 'b': 'x' * i, 'c': {'d': None, 'e': i / 7}} for i in "
        "range(3000)]\n"
        "texts = [json.dumps(row, indent=1) for row in rows]\n"
        "print(sum(len(t) for t in texts), sum(len(re.findall('[0-9]+', t)) for t in texts),\n"
        "      len(sorted(texts, key=lambda t: t[::-1])), all(json.loads(t) == r for t, r in zip(texts, "
        "rows)))\n";

/* Hand-written code that counts its CFA from rax across calls. What it prints is its speed. */
static const char cipher[] = "exec openssl speed -seconds 1 -bytes 4096 -evp aes-256-gcm >/dev/null 2>&1";

#define FIXTURE(name) PG_BUILD_DIR "/fixtures/" name

const struct program programs[] = {
        { "jq", "/usr/bin/jq", { "/usr/bin/jq", "-c", filter, "in.json", NULL } },
        { "sqlite3", "/usr/bin/sqlite3", { "/usr/bin/sqlite3", ":memory:", query, NULL } },
        { "clang++", "/usr/bin/clang++", { "/usr/bin/clang++", "-O1", "-c", "-o", "out.o", "in.cc", NULL } },
        { "python3", "/usr/bin/python3", { "/usr/bin/python3", "-E", "-c", script, NULL } },
        { "redis-server",
          "/usr/bin/redis-server",
          { "/bin/sh", PG_SOURCE_DIR "/tests/programs/redis", NULL } },
        { "openssl, AES-GCM", "/usr/bin/openssl", { "/bin/sh", "-c", cipher, NULL } },
        { "8 threads that throw", FIXTURE("guest_throw"), { FIXTURE("guest_throw"), "5000", "20", NULL } },
};
const size_t n_programs = sizeof(programs) / sizeof(*programs);

bool program_is(const struct program *p, const char *path)
{
        char *image = realpath(p->image, NULL);
        bool same = image && strcmp(image, path) == 0;
        free(image);
        return same;
}

static char folder[] = "/tmp/perfgate-programs-XXXXXX";

static void write_json(FILE *f)
{
        unsigned x = 1;
        fputc('[', f);
        for (int i = 0; i < 16000; i++) {
                fprintf(f, "%s{\"id\":%d,\"name\":\"n%d\",\"tags\":[", i ? "," : "", i, i);
                for (int k = 0; k < 3; k++) {
                        x = x * 1103515245u + 12345u;
                        fprintf(f, "%s\"%x\"", k ? "," : "", x >> 8);
                }
                fprintf(f, "],\"v\":{\"a\":%d.5,\"b\":null}}\n", i);
        }
        fputc(']', f);
}

static void write_source(FILE *f)
{
        fputs("#include <algorithm>\n#include <map>\n#include <string>\n#include <vector>\n"
              "int sum(const std::map<std::string, std::vector<int>> &m)\n"
              "{ int n = 0; for (auto &e : m) for (int i : e.second) n += i; return n; }\n"
              "void sort(std::vector<std::string> &v) { std::sort(v.begin(), v.end()); }\n",
              f);
}

static bool write_file(const char *name, void (*write_it)(FILE *f))
{
        FILE *f = fopen(name, "w");
        if (!f)
                return false;
        write_it(f);
        return fclose(f) == 0;
}

bool programs_set_up(void)
{
        if (mkdtemp(folder) && chdir(folder) == 0 && write_file("in.json", write_json) &&
            write_file("in.cc", write_source) && setenv("LC_ALL", "C", 1) == 0)
                return true;
        perror(folder);
        return false;
}

void programs_tear_down(void)
{
        static const char *const files[] = { "in.json", "in.cc", "out.o" };
        for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
                unlink(files[i]);
        if (chdir("/") != 0 || rmdir(folder) != 0)
                perror(folder);
}
