#include "pool.h"

namespace graft {

namespace {
inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// A few microseconds, then the core is given away: on a busy machine the
// partner may not be running.
template <class Done> void spin(Done done) {
    for (int i = 0; !done(); i++) {
        if (i < 4000) pause();
        else std::this_thread::yield();
    }
}
}  // namespace

Pool::Pool(int threads) : threads_(threads < 1 ? 1 : threads) {
    try {
        for (int t = 1; t < threads_; t++) workers_.emplace_back([this, t] { work(t); });
    } catch (...) {  // no more threads: end those that started
        stop();
        throw;
    }
}

Pool::~Pool() { stop(); }

void Pool::stop() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
        epoch_++;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
}

void Pool::run_raw(Function function, void* argument) {
    if (threads_ == 1) return function(argument, 0, 1);
    function_ = function;
    argument_ = argument;
    running_.store(threads_ - 1, std::memory_order_relaxed);
    epoch_.fetch_add(1);  // sequentially consistent: ordered with sleepers_
    if (sleepers_.load() > 0) {
        { std::lock_guard<std::mutex> lock(mutex_); }
        wake_.notify_all();
    }
    function(argument, 0, threads_);
    spin([&] { return running_.load(std::memory_order_acquire) == 0; });
}

void Pool::work(int thread) {
    uint64_t seen = 0;
    for (;;) {
        for (int i = 0; epoch_.load(std::memory_order_acquire) == seen && i < 20000; i++) pause();
        if (epoch_.load() == seen) {
            sleepers_.fetch_add(1);
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, [&] { return epoch_.load() != seen; });
            sleepers_.fetch_sub(1);
        }
        seen = epoch_.load();
        if (stop_) return;
        function_(argument_, thread, threads_);
        running_.fetch_sub(1, std::memory_order_release);
    }
}

void Pool::barrier() {
    if (threads_ == 1) return;
    const uint64_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
    } else {
        spin([&] { return phase_.load(std::memory_order_acquire) != phase; });
    }
}

}  // namespace graft
