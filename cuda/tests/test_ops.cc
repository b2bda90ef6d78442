// Every operation of the table against loops in double. Usage: test_ops [part of
// a name]. Exit status: 0 all right, 10 wrong, 11 runs disagree, 12 a call or
// the emulation failed, or no case calls an operation, 13 no such case, 77 found
// by a sanitizer.
#include "harness.h"

#if defined(GRAFT_SHIM)
extern "C" const char* __asan_default_options() { return "exitcode=77:detect_leaks=0"; }
extern "C" const char* __ubsan_default_options() { return "exitcode=77:print_stacktrace=1"; }
#endif

namespace test {
void elementwise_cases();
void linear_cases();
void adapted_cases();
void attention_cases();
void loss_cases();
void encoder_cases();
void defined_cases();
void flat_cases();

// What the table has must be called by some case.
void check_called() {
#define GRAFT_CHECK(op) \
    if (api().op && !called().count(#op)) summary().fail(#op ": no case calls it");
    GRAFT_EACH_OP(GRAFT_CHECK)
#undef GRAFT_CHECK
}
}  // namespace test

int main(int argc, char** argv) {
    if (argc > 1) test::filter() = argv[1];
    int32_t devices = 0;
    const std::string failure = test::text(test::api().device_count(&devices));
    if (devices == 0) {
        std::printf("no device: %s\n", failure.c_str());
        return 12;
    }
    test::elementwise_cases();
    test::linear_cases();
    test::adapted_cases();
    test::attention_cases();
    test::loss_cases();
    test::encoder_cases();
    test::defined_cases();
    test::flat_cases();
    if (test::filter().empty()) test::check_called();
    return test::report();
}
