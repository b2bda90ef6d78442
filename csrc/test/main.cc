// Runs the tests on the instruction set of GRAFT_CPU_ISA; 77, which ctest
// reports as skipped, where this machine lacks it.
#include <gtest/gtest.h>

#include <cstdio>

#include "../core/isa.h"

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    graft::Isa isa;
    if (graft_status* status = graft::choose_isa(&isa)) {
        std::printf("%s\n", status->message.c_str());
        const int code = status->code == GRAFT_UNAVAILABLE ? 77 : 1;
        graft::free_status(status);
        return code;
    }
    std::printf("instruction set: %s\n", graft::name(isa));
    return RUN_ALL_TESTS();
}
