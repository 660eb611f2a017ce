#pragma once
#include <jni.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fabula/fabula.h"

// What crosses between Java and the C interface. Texts are byte[] of UTF-8 on Java's side.
namespace fabula::jni {

/// Classes and methods that are looked up once, when the library is loaded; false, with Java's exception pending, where
/// one is missing.
bool find_classes(JNIEnv* env);

/// Java's FabulaException for a failed call of this thread, thrown when the native method returns. True when the call
/// went well.
bool succeeded(JNIEnv* env, fabula_status status);
/// A FabulaException, unless one is pending already.
void throw_exception(JNIEnv* env, fabula_status status, const char* message);

/// A text, or nothing for null; what Java's memory is short of is pending as an exception then.
class JavaText {
 public:
  JavaText(JNIEnv* env, jbyteArray bytes);
  /// NULL for null.
  const char* get() const { return given_ ? text_.c_str() : nullptr; }

 private:
  bool given_ = false;
  std::string text_;
};

/// Texts, which end with a zero byte; null where Java's memory is short.
std::vector<std::string> texts(JNIEnv* env, jobjectArray arrays);
std::vector<const char*> pointers(const std::vector<std::string>& texts);
jbyteArray java_bytes(JNIEnv* env, const char* bytes, std::size_t count);
jobjectArray java_texts(JNIEnv* env, const std::vector<std::string>& texts);
jlongArray java_longs(JNIEnv* env, const std::vector<jlong>& values);
std::vector<jlong> longs(JNIEnv* env, jlongArray array);
std::vector<jint> ints(JNIEnv* env, jintArray array);
std::vector<jdouble> doubles(JNIEnv* env, jdoubleArray array);

/// A handle as Java's long.
template <class Handle>
Handle* handle_of(jlong value) {
  return reinterpret_cast<Handle*>(static_cast<std::intptr_t>(value));
}
inline jlong java_handle(const void* handle) {
  return static_cast<jlong>(reinterpret_cast<std::intptr_t>(handle));
}

/// Calls Native.deliver(listener, ...); false ends the text, as does an exception, which stays pending.
bool deliver(JNIEnv* env, jobject listener, const fabula_token& token);

}  // namespace fabula::jni
