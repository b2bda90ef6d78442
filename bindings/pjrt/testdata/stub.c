// A PJRT plugin that computes nothing and fails where it is told to: MINOR is
// the version it claims, FAIL the call that fails and CODE with what, OUTPUTS how
// many results it says that a program has. Nothing may be called in a plugin of a
// version that is refused: then it aborts.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pjrt_c_api.h"

#ifndef MINOR
#define MINOR 81
#endif
#ifndef FAIL
#define FAIL NOTHING
#endif
#ifndef CODE
#define CODE PJRT_Error_Code_INTERNAL
#endif
#ifndef OUTPUTS
#define OUTPUTS 1
#endif

enum { NOTHING, INITIALIZE, CREATE, UPLOAD, DOWNLOAD, COMPILE, EXECUTE, MEMORY };

struct PJRT_Error { PJRT_Error_Code code; };
struct PJRT_Client { int none; };
struct PJRT_Device { int none; };
struct PJRT_DeviceDescription { int none; };
struct PJRT_Executable { int none; };
struct PJRT_LoadedExecutable { int none; };
struct PJRT_Event { int none; };
struct PJRT_Buffer { size_t dims; };

static struct PJRT_Client client;
static struct PJRT_Device device, *devices[] = {&device};
static struct PJRT_DeviceDescription description;
static struct PJRT_Event event;

static PJRT_Error* outcome(int where) {
	if (where != FAIL) return NULL;
	PJRT_Error* e = malloc(sizeof *e);
	e->code = CODE;
	return e;
}

static void error_message(PJRT_Error_Message_Args* a) { a->message = "as the stub was told"; a->message_size = 20; }
static void error_destroy(PJRT_Error_Destroy_Args* a) { free(a->error); }
static PJRT_Error* error_code(PJRT_Error_GetCode_Args* a) { a->code = a->error->code; return NULL; }
static PJRT_Error* initialize(PJRT_Plugin_Initialize_Args* a) {
	(void)a;
	if (MINOR > 89) abort();
	return outcome(INITIALIZE);
}
static PJRT_Error* attributes(PJRT_Plugin_Attributes_Args* a) { a->num_attributes = 0; return NULL; }
static PJRT_Error* create(PJRT_Client_Create_Args* a) { a->client = &client; return outcome(CREATE); }
static PJRT_Error* client_destroy(PJRT_Client_Destroy_Args* a) { (void)a; return NULL; }
static PJRT_Error* platform_name(PJRT_Client_PlatformName_Args* a) { a->platform_name = "stub"; a->platform_name_size = 4; return NULL; }
static PJRT_Error* platform_version(PJRT_Client_PlatformVersion_Args* a) { a->platform_version = "1"; a->platform_version_size = 1; return NULL; }
static PJRT_Error* process_index(PJRT_Client_ProcessIndex_Args* a) { a->process_index = 0; return NULL; }
static PJRT_Error* addressable(PJRT_Client_AddressableDevices_Args* a) { a->addressable_devices = devices; a->num_addressable_devices = 1; return NULL; }
static PJRT_Error* hardware_id(PJRT_Device_LocalHardwareId_Args* a) { a->local_hardware_id = 0; return NULL; }
static PJRT_Error* is_addressable(PJRT_Device_IsAddressable_Args* a) { a->is_addressable = 1; return NULL; }
static PJRT_Error* get_description(PJRT_Device_GetDescription_Args* a) { a->device_description = &description; return NULL; }
static PJRT_Error* device_memory(PJRT_Device_MemoryStats_Args* a) {
	PJRT_Error* e = outcome(MEMORY);
	if (e != NULL) return e;
	a->bytes_in_use = 1000;
	a->bytes_limit = 80000;
	a->bytes_limit_is_set = 1;
	return NULL;
}
static PJRT_Error* description_index(PJRT_DeviceDescription_ProcessIndex_Args* a) { a->process_index = 0; return NULL; }
static PJRT_Error* debug_string(PJRT_DeviceDescription_DebugString_Args* a) { a->debug_string = "StubDevice"; a->debug_string_size = 10; return NULL; }
static PJRT_Error* await(PJRT_Event_Await_Args* a) { (void)a; return NULL; }
static PJRT_Error* event_destroy(PJRT_Event_Destroy_Args* a) { (void)a; return NULL; }
static PJRT_Error* from_host(PJRT_Client_BufferFromHostBuffer_Args* a) {
	PJRT_Error* e = outcome(UPLOAD);
	if (e != NULL) return e;
	a->buffer = malloc(sizeof *a->buffer);
	a->buffer->dims = a->num_dims;
	a->done_with_host_buffer = &event;
	return NULL;
}
static PJRT_Error* buffer_dimensions(PJRT_Buffer_Dimensions_Args* a) {
	static const int64_t dims[4];
	a->dims = dims;
	a->num_dims = a->buffer->dims;
	return NULL;
}
static PJRT_Error* to_host(PJRT_Buffer_ToHostBuffer_Args* a) {
	memset(a->dst, 0, a->dst_size);
	a->event = &event;
	return outcome(DOWNLOAD);
}
static PJRT_Error* buffer_destroy(PJRT_Buffer_Destroy_Args* a) { free(a->buffer); return NULL; }
static PJRT_Error* compile(PJRT_Client_Compile_Args* a) {
	PJRT_Error* e = outcome(COMPILE);
	if (e == NULL) a->executable = malloc(sizeof *a->executable);
	return e;
}
static PJRT_Error* get_executable(PJRT_LoadedExecutable_GetExecutable_Args* a) { a->executable = malloc(sizeof *a->executable); return NULL; }
static PJRT_Error* executable_name(PJRT_Executable_Name_Args* a) { a->executable_name = "stub"; a->executable_name_size = 4; return NULL; }
static PJRT_Error* num_outputs(PJRT_Executable_NumOutputs_Args* a) { a->num_outputs = OUTPUTS; return NULL; }
static PJRT_Error* memory_stats(PJRT_Executable_GetCompiledMemoryStats_Args* a) { a->temp_size_in_bytes = 4096; return NULL; }
static PJRT_Error* executable_destroy(PJRT_Executable_Destroy_Args* a) { free(a->executable); return NULL; }
static PJRT_Error* loaded_destroy(PJRT_LoadedExecutable_Destroy_Args* a) { free(a->executable); return NULL; }
static PJRT_Error* execute(PJRT_LoadedExecutable_Execute_Args* a) {
	PJRT_Error* e = outcome(EXECUTE);
	if (e != NULL) return e;
	a->output_lists[0][0] = calloc(1, sizeof(struct PJRT_Buffer));
	a->device_complete_events[0] = &event;
	return NULL;
}

const PJRT_Api* GetPjrtApi(void) {
	static PJRT_Api api;
	memset(&api, 0, sizeof api);
	api.struct_size = PJRT_Api_STRUCT_SIZE;
	api.pjrt_api_version.struct_size = PJRT_Api_Version_STRUCT_SIZE;
	api.pjrt_api_version.minor_version = MINOR;
	api.PJRT_Error_Message = error_message;
	api.PJRT_Error_Destroy = error_destroy;
	api.PJRT_Error_GetCode = error_code;
	api.PJRT_Plugin_Initialize = initialize;
	api.PJRT_Plugin_Attributes = attributes;
	api.PJRT_Client_Create = create;
	api.PJRT_Client_Destroy = client_destroy;
	api.PJRT_Client_PlatformName = platform_name;
	api.PJRT_Client_PlatformVersion = platform_version;
	api.PJRT_Client_ProcessIndex = process_index;
	api.PJRT_Client_AddressableDevices = addressable;
	api.PJRT_Device_LocalHardwareId = hardware_id;
	api.PJRT_Device_IsAddressable = is_addressable;
	api.PJRT_Device_GetDescription = get_description;
	api.PJRT_Device_MemoryStats = device_memory;
	api.PJRT_DeviceDescription_ProcessIndex = description_index;
	api.PJRT_DeviceDescription_DebugString = debug_string;
	api.PJRT_Event_Await = await;
	api.PJRT_Event_Destroy = event_destroy;
	api.PJRT_Client_BufferFromHostBuffer = from_host;
	api.PJRT_Buffer_Dimensions = buffer_dimensions;
	api.PJRT_Buffer_ToHostBuffer = to_host;
	api.PJRT_Buffer_Destroy = buffer_destroy;
	api.PJRT_Client_Compile = compile;
	api.PJRT_LoadedExecutable_GetExecutable = get_executable;
	api.PJRT_Executable_Name = executable_name;
	api.PJRT_Executable_NumOutputs = num_outputs;
	api.PJRT_Executable_GetCompiledMemoryStats = memory_stats;
	api.PJRT_Executable_Destroy = executable_destroy;
	api.PJRT_LoadedExecutable_Destroy = loaded_destroy;
	api.PJRT_LoadedExecutable_Execute = execute;
	return &api;
}
