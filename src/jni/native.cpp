// The native methods of org.fabula.Native: each is a function of the C interface, its values carried over. A failed
// call leaves a FabulaException pending, and what is returned beside it is looked at by nobody.
#include <exception>
#include <iterator>
#include <new>

#include "jni/java_values.hpp"

namespace fabula::jni {
namespace {

jbyteArray version(JNIEnv* env, jclass) {
  const std::string text = fabula_version_text();
  return java_bytes(env, text.data(), text.size());
}

jobjectArray device_names(JNIEnv* env, jclass) {
  std::vector<std::string> names;
  const fabula_device_callback usable = [](void* user, const fabula_device_info* info) {
    if (!*info->why_not) static_cast<std::vector<std::string>*>(user)->emplace_back(info->name);
    return 0;
  };
  return succeeded(env, fabula_list_devices(usable, &names)) ? java_texts(env, names) : nullptr;
}

jlong open_device(JNIEnv* env, jclass, jbyteArray device, jbyteArray cache_folder) {
  const JavaText name(env, device), cache(env, cache_folder);
  fabula_device_options options = fabula_device_options_default();
  options.device = name.get();
  options.cache_dir = cache.get();
  fabula_device* opened = nullptr;
  succeeded(env, fabula_device_open(&options, &opened));
  return java_handle(opened);
}

jbyteArray device_name(JNIEnv* env, jclass, jlong device) {
  fabula_device_info info{};
  info.size = sizeof info;
  if (!succeeded(env, fabula_device_describe(handle_of<fabula_device>(device), &info))) return nullptr;
  const std::string name = info.name;
  return java_bytes(env, name.data(), name.size());
}

void close_device(JNIEnv* env, jclass, jlong device) {
  succeeded(env, fabula_device_close(handle_of<fabula_device>(device)));
}

jlong open_model(JNIEnv* env, jclass, jbyteArray folder, jbyteArray weights) {
  const JavaText path(env, folder), stored(env, weights);
  fabula_model_options options = fabula_model_options_default();
  options.weights = stored.get();
  fabula_model* opened = nullptr;
  succeeded(env, fabula_model_open(path.get(), &options, &opened));
  return java_handle(opened);
}

jlong open_model_descriptors(JNIEnv* env, jclass, jobjectArray names, jintArray descriptors, jlongArray offsets,
                             jlongArray lengths, jbyteArray weights) {
  const std::vector<std::string> file_names = texts(env, names);
  const std::vector<jint> numbers = ints(env, descriptors);
  const std::vector<jlong> begins = longs(env, offsets), bytes = longs(env, lengths);
  std::vector<fabula_descriptor_file> files;
  for (std::size_t i = 0; i < file_names.size(); ++i)
    files.push_back({file_names[i].c_str(), numbers[i], begins[i], bytes[i]});
  const JavaText stored(env, weights);
  fabula_model_options options = fabula_model_options_default();
  options.weights = stored.get();
  fabula_model* opened = nullptr;
  succeeded(env, fabula_model_open_descriptors(files.data(), files.size(), &options, &opened));
  return java_handle(opened);
}

jlongArray model_numbers(JNIEnv* env, jclass, jlong model) {
  fabula_model_info info{};
  info.size = sizeof info;
  if (!succeeded(env, fabula_model_describe(handle_of<fabula_model>(model), &info))) return nullptr;
  return java_longs(
      env, {info.vocabulary, info.context, info.layers, info.hidden, info.parameters, info.shortlist, info.groups});
}

void close_model(JNIEnv* env, jclass, jlong model) {
  succeeded(env, fabula_model_close(handle_of<fabula_model>(model)));
}

jlong open_session(JNIEnv* env, jclass, jlong device, jlong model, jlong slots, jlong context, jboolean levels) {
  fabula_session_options options = fabula_session_options_default();
  options.slots = slots;
  options.context = context;
  options.levels = levels == JNI_TRUE ? 1 : 0;
  fabula_session* opened = nullptr;
  succeeded(env,
            fabula_session_open(handle_of<fabula_device>(device), handle_of<fabula_model>(model), &options, &opened));
  return java_handle(opened);
}

/// The order of the numbers is that of TextOptions.whole() and real().
fabula_text_options text_options(const std::vector<jlong>& whole, const std::vector<jdouble>& real) {
  fabula_text_options options = fabula_text_options_default();
  options.max_tokens = whole.at(0);
  options.seed = static_cast<std::uint64_t>(whole.at(1));
  options.top_k = static_cast<std::uint32_t>(whole.at(2));
  options.slide = static_cast<std::int32_t>(whole.at(3));
  options.temperature = real.at(0);
  options.top_p = real.at(1);
  options.min_p = real.at(2);
  options.repetition_penalty = real.at(3);
  options.presence_penalty = real.at(4);
  options.frequency_penalty = real.at(5);
  return options;
}

struct Listener {
  JNIEnv* env;
  jobject object;
};

jlongArray generate(JNIEnv* env, jclass, jlong session, jbyteArray prompt, jlongArray whole, jdoubleArray real,
                    jobjectArray stops, jobject object) {
  const JavaText start(env, prompt);
  const std::vector<std::string> stop_texts = texts(env, stops);
  const std::vector<const char*> stop_pointers = pointers(stop_texts);
  fabula_text_options options = text_options(longs(env, whole), doubles(env, real));
  options.stops = stop_pointers.data();
  options.stop_count = stop_pointers.size();
  Listener listener{env, object};
  const fabula_token_callback told = [](void* user, const fabula_token* token) {
    const auto& to = *static_cast<const Listener*>(user);
    return deliver(to.env, to.object, *token) ? 0 : 1;
  };
  fabula_text_result result{};
  result.size = sizeof result;
  const fabula_status status = fabula_generate(handle_of<fabula_session>(session), start.get(), &options,
                                               object ? told : nullptr, &listener, &result);
  if (!succeeded(env, status) || env->ExceptionCheck()) return nullptr;
  return java_longs(env, {result.prompt_tokens, result.tokens, static_cast<jlong>(result.finish)});
}

void cancel(JNIEnv* env, jclass, jlong session) {
  succeeded(env, fabula_session_cancel(handle_of<fabula_session>(session), FABULA_ALL_TEXTS));
}

void close_session(JNIEnv* env, jclass, jlong session) {
  succeeded(env, fabula_session_close(handle_of<fabula_session>(session)));
}

/// C++'s exceptions do not cross: a native method that is short of memory ends with Java's OutOfMemoryError, and what
/// else goes wrong in it is a FabulaException.
template <class Result, class... Arguments>
struct Guarded {
  template <Result (*function)(JNIEnv*, jclass, Arguments...)>
  static Result JNICALL call(JNIEnv* env, jclass of, Arguments... arguments) {
    try {
      return function(env, of, arguments...);
    } catch (const std::bad_alloc&) {
      if (const jclass error = env->FindClass("java/lang/OutOfMemoryError")) env->ThrowNew(error, "in libfabula_jni");
    } catch (const std::exception& error) {
      throw_exception(env, FABULA_INTERNAL, error.what());
    } catch (...) {
      throw_exception(env, FABULA_INTERNAL, "something that is no std::exception was thrown in libfabula_jni");
    }
    return Result();
  }
};

template <auto function>
struct Method;
template <class Result, class... Arguments, Result (*function)(JNIEnv*, jclass, Arguments...)>
struct Method<function> {
  static constexpr Result(JNICALL* pointer)(JNIEnv*, jclass,
                                            Arguments...) = &Guarded<Result, Arguments...>::template call<function>;
};

template <auto function>
JNINativeMethod method(const char* name, const char* signature) {
  // Java's header has char* where nothing is written.
  return {const_cast<char*>(name), const_cast<char*>(signature), reinterpret_cast<void*>(Method<function>::pointer)};
}

}  // namespace
}  // namespace fabula::jni

/// Called when Java loads the library; asks for no device.
extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* machine, void*) {
  using namespace fabula::jni;
  JNIEnv* env = nullptr;
  if (machine->GetEnv(reinterpret_cast<void**>(&env), JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
  if (!find_classes(env) || !succeeded(env, fabula_check_version(FABULA_VERSION))) return JNI_ERR;
  const JNINativeMethod methods[] = {
      method<version>("version", "()[B"),
      method<device_names>("deviceNames", "()[[B"),
      method<open_device>("openDevice", "([B[B)J"),
      method<device_name>("deviceName", "(J)[B"),
      method<close_device>("closeDevice", "(J)V"),
      method<open_model>("openModel", "([B[B)J"),
      method<open_model_descriptors>("openModelDescriptors", "([[B[I[J[J[B)J"),
      method<model_numbers>("modelNumbers", "(J)[J"),
      method<close_model>("closeModel", "(J)V"),
      method<open_session>("openSession", "(JJJJZ)J"),
      method<generate>("generate", "(J[B[J[D[[BLorg/fabula/TokenListener;)[J"),
      method<cancel>("cancel", "(J)V"),
      method<close_session>("closeSession", "(J)V"),
  };
  const jclass native = env->FindClass("org/fabula/Native");
  if (!native || env->RegisterNatives(native, methods, static_cast<jint>(std::size(methods))) != JNI_OK) return JNI_ERR;
  return JNI_VERSION_1_6;
}
