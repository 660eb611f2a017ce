/* A system without a Vulkan driver (as the environment says), and with WITHOUT_LOADER one without the loader: this
 * program's dlopen takes the place of the C library's. */
#include <fabula/fabula.h>
#include <stdio.h>
#include <string.h>
#ifdef WITHOUT_LOADER
void* dlopen(const char* name, int flags);
void* dlopen(const char* name, int flags) {
  (void)name;
  (void)flags;
  return NULL;
}
#endif

static int ignore(void* user, const fabula_device_info* info) {
  (void)user;
  return info == NULL;
}

static int is_told(const char* call, fabula_status status) {
  const char* message = fabula_last_message();
  printf("%s: %s: %s\n", call, fabula_status_name(status), message);
  return status == FABULA_DEVICE && strstr(message, "Vulkan loader") != NULL && strstr(message, "nstall") != NULL &&
         strchr(message, '\n') == NULL;
}

int main(void) {
  fabula_device* device = NULL;
  const int listed = is_told("fabula_list_devices", fabula_list_devices(ignore, NULL));
  const int opened = is_told("fabula_device_open", fabula_device_open(NULL, &device));
  return listed && opened && device == NULL ? 0 : 1;
}
