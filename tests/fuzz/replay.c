// SPDX-License-Identifier: MIT
/*
 * replay.c - runs a fuzz target over a kept corpus without libFuzzer: every file of the folders named as
 * arguments.
 *
 * So that each ordinary test run, and each sanitizer build with any compiler, goes through all inputs once
 * found.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runner/base/cleanup.h"
#include "runner/base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_folder(const char *folder)
{
        DIR *d = opendir(folder);
        if (!d) {
                perror(folder);
                return -1;
        }
        int n = 0;
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                PG_AUTO_FREE char *path = pg_path_join(folder, e->d_name);
                PG_AUTO_FREE char *data = NULL;
                size_t len = 0;
                struct pg_error err = { 0 };
                if (!path || !pg_file_read(path, 64 << 20, &data, &len, &err)) {
                        fprintf(stderr, "%s: %s\n", e->d_name, err.text);
                        closedir(d);
                        return -1;
                }
                LLVMFuzzerTestOneInput((const uint8_t *)data, len);
                n++;
        }
        closedir(d);
        return n;
}

int main(int argc, char **argv)
{
        int total = 0;
        for (int i = 1; i < argc; i++) {
                int n = replay_folder(argv[i]);
                if (n < 0)
                        return 1;
                total += n;
        }
        printf("%d inputs replayed\n", total);
        return total ? 0 : 1;
}
