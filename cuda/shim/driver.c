/* A libcuda.so.1 for cudnn_check plans: cuDNN hands the kernels that it made to the
 * driver before a plan is final. They are taken and never run. */
#define OK(name) int name(void) { return 0; }
#define NONE(name) int name(void) { return 100; }
#define MADE(name) int name(void** to) { static char it[64]; *to = it; return 0; }

MADE(cuLibraryLoadData) MADE(cuLibraryLoadFromFile) MADE(cuLibraryGetKernel) MADE(cuKernelGetFunction)
MADE(cuModuleLoadData) MADE(cuModuleLoadDataEx) MADE(cuModuleLoadFatBinary) MADE(cuModuleGetFunction)
OK(cuLibraryUnload) OK(cuModuleUnload) OK(cuModuleGetGlobal_v2) OK(cuKernelGetAttribute) OK(cuKernelSetAttribute) OK(cuFuncGetAttribute)
OK(cuFuncSetAttribute)
NONE(cuInit) NONE(cuDriverGetVersion) NONE(cuDeviceGet) NONE(cuDeviceGetAttribute) NONE(cuDeviceGetCount) NONE(cuDevicePrimaryCtxRelease)
NONE(cuDevicePrimaryCtxReset) NONE(cuDevicePrimaryCtxRetain) NONE(cuCtxGetCurrent) NONE(cuCtxGetDevice) NONE(cuCtxGetLimit)
NONE(cuCtxPopCurrent) NONE(cuCtxPushCurrent) NONE(cuGetErrorName) NONE(cuGetErrorString) NONE(cuLaunchCooperativeKernel)
NONE(cuLaunchKernel) NONE(cuLaunchKernelEx) NONE(cuLinkAddData) NONE(cuLinkAddData_v2) NONE(cuLinkAddFile_v2) NONE(cuLinkComplete)
NONE(cuLinkCreate) NONE(cuLinkCreate_v2) NONE(cuLinkDestroy) NONE(cuMemcpyDtoH_v2) NONE(cuOccupancyMaxActiveBlocksPerMultiprocessor)
NONE(cuOccupancyMaxPotentialClusterSize) NONE(cuStreamGetCtx) NONE(cuStreamGetGreenCtx) NONE(cuStreamSynchronize) NONE(cuTensorMapEncodeTiled)
