// Which kernel computes a product.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "gemm.cuh"

namespace graft::cuda {
namespace {

bool parse(const std::string& name, Kernel* kernel) {
    if (name == "own") *kernel = Kernel::kOwn;
    else if (name == "wgmma") *kernel = Kernel::kWgmma;
    else if (name == "cublaslt") *kernel = Kernel::kCublasLt;
    else return false;
    return true;
}

const char* name(Layout layout) { return layout == Layout::NT ? "NT" : layout == Layout::NN ? "NN" : "TN"; }

// A line of the file: layout m n k rank kernel, as in "NT 8192 4096 4096 16 wgmma".
struct Row {
    std::string layout;
    int64_t m, n, k, rank;
    Kernel kernel;
};

const std::vector<Row>& measured() {
    static const std::vector<Row> rows = [] {
        std::vector<Row> all;
        const char* path = std::getenv("GRAFT_CUDA_GEMM_TABLE");
        std::ifstream file(path ? path : "");
        for (std::string line; std::getline(file, line);) {
            std::istringstream words(line);
            std::string kernel;
            Row row;
            if (words >> row.layout >> row.m >> row.n >> row.k >> row.rank >> kernel && parse(kernel, &row.kernel)) all.push_back(row);
        }
        return all;
    }();
    return rows;
}

}  // namespace

Kernel choose(const graft_context* c, const Gemm& g) {
    static const char* const forced = std::getenv("GRAFT_CUDA_GEMM");
    if (g.type != GRAFT_BF16) return Kernel::kOwn;
    const bool hopper = gemm_wgmma_takes(c, g);
    Kernel kernel = hopper && g.rank > 0 ? Kernel::kWgmma : Kernel::kCublasLt;  // as yet by rule: no card has measured it
    if (forced && parse(forced, &kernel)) return kernel == Kernel::kWgmma && !hopper ? Kernel::kOwn : kernel;
    for (const Row& row : measured())
        if (row.layout == name(g.layout) && row.m == g.m && row.n == g.n && row.k == g.k && row.rank == g.rank) kernel = row.kernel;
    return kernel == Kernel::kWgmma && !hopper ? Kernel::kOwn : kernel;
}

}  // namespace graft::cuda
