/** Vulkan, by which onnxruntime's WebGPU reaches a GPU on Linux. */

const LOADER = "libvulkan.so.1"

/** Whether the dynamic linker finds Vulkan's loader; elsewhere than on Linux, no GPU needs it. Loads no driver, so nothing can crash. */
export const isVulkanThere = (): boolean => {
  if (process.platform !== "linux") return true
  try {
    process.dlopen({ exports: {} }, LOADER)
    return true
  } catch (error) {
    // What is found is loaded, and then is no addon of Node's.
    return error instanceof Error && error.message.includes("self-register")
  }
}
