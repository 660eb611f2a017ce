/* Devices that cannot be used: each is listed with the reason, and none is opened. The environment says what is wrong
 * with them (fake_vulkan.c), the arguments what is to be said of it: REASON, and "loader" where nothing can be listed
 * at all. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fabula/fabula.h>
#include <stdio.h>
#include <string.h>

/* Takes the place of the C library's. */
void* dlopen(const char* name, int flags) {
  static void* (*open)(const char*, int) = NULL;
  if (open == NULL) *(void**)&open = dlsym(RTLD_NEXT, "dlopen");
  return open(name != NULL && strncmp(name, "libvulkan.so", 12) == 0 ? FAKE_VULKAN_LIBRARY : name, flags);
}

struct listed {
  const char* reason;
  int devices, without_reason;
};

static int look(void* user, const fabula_device_info* info) {
  struct listed* listed = user;
  printf("device %u: %s: %s\n", (unsigned)info->index, info->name, info->why_not);
  ++listed->devices;
  listed->without_reason += strstr(info->why_not, listed->reason) == NULL;
  return 0;
}

static int is_refused(const char* device, const char* reason) {
  fabula_device_options options = fabula_device_options_default();
  fabula_device* opened = NULL;
  options.device = device;
  const fabula_status status = fabula_device_open(&options, &opened);
  printf("fabula_device_open: %s: %s\n", fabula_status_name(status), fabula_last_message());
  return status == FABULA_DEVICE && opened == NULL && strstr(fabula_last_message(), reason) != NULL;
}

int main(int count, char** arguments) {
  struct listed listed = {count > 1 ? arguments[1] : "", 0, 0};
  const int no_list = count > 2;
  const fabula_status status = fabula_list_devices(look, &listed);
  printf("fabula_list_devices: %s\n", fabula_status_name(status));
  const int list_is_right = no_list ? status == FABULA_DEVICE && strstr(fabula_last_message(), listed.reason) != NULL
                                    : status == FABULA_OK && listed.devices > 0 && listed.without_reason == 0;
  return list_is_right && is_refused(NULL, listed.reason) && is_refused("0", listed.reason) ? 0 : 1;
}
