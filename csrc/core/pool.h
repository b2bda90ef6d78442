// A pool of threads that lives as long as its context. The caller is thread 0;
// the others spin for a moment after each call, then sleep.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace graft {

class Pool {
  public:
    explicit Pool(int threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // Calls f(thread, threads) once on each thread and returns when all are
    // done. f must not throw.
    template <class F> void run(F&& f) {
        run_raw([](void* p, int t, int n) { (*static_cast<std::remove_reference_t<F>*>(p))(t, n); },
                const_cast<void*>(static_cast<const void*>(&f)));
    }
    // Waits for all threads; only inside run.
    void barrier();
    int threads() const { return threads_; }

  private:
    using Function = void (*)(void*, int, int);
    void run_raw(Function, void*);
    void work(int thread);
    void stop();

    int threads_;
    std::vector<std::thread> workers_;
    Function function_ = nullptr;
    void* argument_ = nullptr;
    alignas(64) std::atomic<uint64_t> epoch_{0};
    alignas(64) std::atomic<int> running_{0};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<uint64_t> phase_{0};
    std::atomic<int> sleepers_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::condition_variable wake_;
};

}  // namespace graft
