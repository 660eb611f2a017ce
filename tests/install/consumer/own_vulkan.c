/* A program may have a Vulkan of its own: linked with the library, neither gets the other's functions. */
void vkCreateInstance(void);
void vkDestroyDevice(void);
void volkInitialize(void);

void vkCreateInstance(void) {}
void vkDestroyDevice(void) {}
void volkInitialize(void) {}
