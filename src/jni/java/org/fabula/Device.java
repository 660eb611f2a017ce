package org.fabula;

import java.util.ArrayList;
import java.util.List;

/** A Vulkan device that is open. Vulkan is loaded when one is first asked for, not with the library. */
public final class Device extends Handle {
    private final String name;

    /**
     * @param device index or part of the name; null: the best
     * @param cacheFolder where compiled kernels are kept, on Android Context.getCacheDir(); null: the user's cache folder
     */
    public Device(String device, String cacheFolder) {
        super(Native.openDevice(Native.bytes(device), Native.bytes(cacheFolder)));
        String told;
        try {
            told = Native.text(Native.deviceName(handle()));
        } catch (RuntimeException failure) {
            close();
            throw failure;
        }
        name = told;
    }

    /** Names of the usable devices, the best first. */
    public static List<String> names() {
        List<String> names = new ArrayList<>();
        for (byte[] name : Native.deviceNames()) names.add(Native.text(name));
        return names;
    }

    /** The library's version, such as "0.1.0". */
    public static String libraryVersion() {
        return Native.text(Native.version());
    }

    public String name() {
        return name;
    }

    @Override
    void release(long handle) {
        Native.closeDevice(handle);
    }
}
