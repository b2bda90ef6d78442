// A program outside of this tree: the headers and the library as they are
// installed, the version as graft.pc has it.
#include <graft/graft.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
    const graft_api* api = graft_cpu_api();
    char version[32];
    snprintf(version, sizeof version, "%d.%d", api->abi_major, api->abi_minor);
    if (argc != 2 || strcmp(version, argv[1]) != 0) {
        fprintf(stderr, "the library has version %s, graft.pc %s\n", version, argc == 2 ? argv[1] : "none");
        return 1;
    }
    int32_t n = 0;
    graft_status* s = api->device_count(&n);
    if (s != NULL || n < 1 || strcmp(api->name, "cpu") != 0) {
        fprintf(stderr, "%s has %d devices: %s\n", api->name, n, s == NULL ? "" : api->status_message(s));
        return 1;
    }
    return 0;
}
