// SPDX-License-Identifier: MIT
/*
 * fixture_cases.h - runs a reader over the folders of fixtures/<kind>/{valid,invalid}.
 *
 * A case is a folder with input.json; an invalid one also has "error" with four lines: code, line, column,
 * and a part of the text. All were written by hand, with the place marked in the text before it was cut out.
 */
#ifndef PG_TEST_FIXTURE_CASES_H
#define PG_TEST_FIXTURE_CASES_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/base/error.h"
#include "runner/base/file.h"

typedef bool case_read_fn(const char *name, const char *text, size_t len, struct pg_error *err);

struct expected {
        enum pg_code code;
        unsigned line, column;
        char text[512];
};

static enum pg_code code_named(const char *name)
{
        if (strcmp(name, "PG_EUSAGE") == 0)
                return PG_EUSAGE;
        return strcmp(name, "PG_EDATA") == 0 ? PG_EDATA : PG_OK;
}

static bool read_expected(const char *folder, const char *name, struct expected *ret)
{
        char path[512], code[32];
        snprintf(path, sizeof(path), "%s/%s/error", folder, name);
        PG_AUTO_FCLOSE FILE *f = fopen(path, "r");
        if (!f || fscanf(f, "%31s %u %u ", code, &ret->line, &ret->column) != 3 ||
            !fgets(ret->text, sizeof(ret->text), f))
                return false;
        ret->text[strcspn(ret->text, "\n")] = '\0';
        ret->code = code_named(code);
        return ret->code != PG_OK;
}

/* What is different from what was expected, to standard error; false when something is. */
static bool as_expected(const char *name, bool ok, const struct pg_error *err, const struct expected *want)
{
        char place[64];
        snprintf(place, sizeof(place), "input.json:%u:%u: ", want->line, want->column);
        if (!ok && err->code == want->code && strncmp(err->text, place, strlen(place)) == 0 &&
            strstr(err->text, want->text) && !strchr(err->text, '\n'))
                return true;
        fprintf(stderr, "%s: got %d \"%s\"\n    expected %d \"%s%s\"\n", name, err->code,
                ok ? "success" : err->text, want->code, place, want->text);
        return false;
}

static bool run_case(const char *folder, const char *name, bool valid, case_read_fn *read)
{
        char path[512];
        PG_AUTO_FREE char *text = NULL;
        size_t len;
        struct pg_error err = { 0 };
        struct expected want;
        snprintf(path, sizeof(path), "%s/%s/input.json", folder, name);
        if (!pg_file_read(path, 16 << 20, &text, &len, &err) ||
            (!valid && !read_expected(folder, name, &want))) {
                fprintf(stderr, "%s: incomplete case: %s\n", name, err.text);
                return false;
        }
        PG_AUTO_FREE char *exact = malloc(len ? len : 1); // without the NUL, so that a sanitizer sees reads
        memcpy(exact, text, len);                         // behind the text
        bool ok = read("input.json", exact, len, &err);
        if (!valid)
                return as_expected(name, ok, &err, &want);
        if (!ok)
                fprintf(stderr, "%s: %s\n", name, err.text);
        return ok;
}

/** Runs all cases of a folder; the number of those that went wrong, or -1 when there are none. */
static int run_cases(const char *folder, bool valid, case_read_fn *read)
{
        DIR *d = opendir(folder);
        int wrong = 0, n = 0;
        for (struct dirent *e; d && (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                n++;
                wrong += !run_case(folder, e->d_name, valid, read);
        }
        if (d)
                closedir(d);
        return n ? wrong : -1;
}

#endif
