#include "jni/java_values.hpp"

#include <cstring>

namespace fabula::jni {
namespace {

// Global references that live as long as the library. Java's class loader is at hand only while it is being loaded.
struct Classes {
  jclass native = nullptr, exception = nullptr, bytes = nullptr;
  jmethodID deliver = nullptr, new_exception = nullptr;
};
Classes classes;

jclass find(JNIEnv* env, const char* name) {
  const jclass local = env->FindClass(name);
  if (!local) return nullptr;
  const auto global = static_cast<jclass>(env->NewGlobalRef(local));
  env->DeleteLocalRef(local);
  return global;
}

}  // namespace

bool find_classes(JNIEnv* env) {
  classes.native = find(env, "org/fabula/Native");
  classes.exception = find(env, "org/fabula/FabulaException");
  classes.bytes = find(env, "[B");
  if (!classes.native || !classes.exception || !classes.bytes) return false;
  classes.deliver = env->GetStaticMethodID(classes.native, "deliver", "(Lorg/fabula/TokenListener;[BIDDDJI)Z");
  classes.new_exception = env->GetMethodID(classes.exception, "<init>", "(I[B)V");
  return classes.deliver && classes.new_exception;
}

void throw_exception(JNIEnv* env, fabula_status status, const char* message) {
  if (env->ExceptionCheck()) return;  // a listener's own
  const jbyteArray text = java_bytes(env, message, std::strlen(message));
  if (!text) return;
  const jobject exception = env->NewObject(classes.exception, classes.new_exception, static_cast<jint>(status), text);
  if (exception) env->Throw(static_cast<jthrowable>(exception));
}

bool succeeded(JNIEnv* env, fabula_status status) {
  if (status != FABULA_OK) throw_exception(env, status, fabula_last_message());
  return status == FABULA_OK;
}

JavaText::JavaText(JNIEnv* env, jbyteArray bytes) : given_(bytes != nullptr) {
  if (!given_) return;
  text_.resize(static_cast<std::size_t>(env->GetArrayLength(bytes)));
  env->GetByteArrayRegion(bytes, 0, static_cast<jsize>(text_.size()), reinterpret_cast<jbyte*>(text_.data()));
}

std::vector<std::string> texts(JNIEnv* env, jobjectArray arrays) {
  std::vector<std::string> result;
  const jsize count = env->GetArrayLength(arrays);
  for (jsize i = 0; i < count; ++i) {
    const auto one = static_cast<jbyteArray>(env->GetObjectArrayElement(arrays, i));
    const JavaText text(env, one);
    result.emplace_back(text.get() ? text.get() : "");
    env->DeleteLocalRef(one);
  }
  return result;
}

std::vector<const char*> pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> result;
  for (const std::string& text : texts) result.push_back(text.c_str());
  return result;
}

jbyteArray java_bytes(JNIEnv* env, const char* bytes, std::size_t count) {
  const jbyteArray array = env->NewByteArray(static_cast<jsize>(count));
  if (array) env->SetByteArrayRegion(array, 0, static_cast<jsize>(count), reinterpret_cast<const jbyte*>(bytes));
  return array;
}

jobjectArray java_texts(JNIEnv* env, const std::vector<std::string>& texts) {
  const jobjectArray array = env->NewObjectArray(static_cast<jsize>(texts.size()), classes.bytes, nullptr);
  for (std::size_t i = 0; array && i < texts.size(); ++i) {
    const jbyteArray text = java_bytes(env, texts[i].data(), texts[i].size());
    if (!text) return nullptr;
    env->SetObjectArrayElement(array, static_cast<jsize>(i), text);
    env->DeleteLocalRef(text);
  }
  return array;
}

jlongArray java_longs(JNIEnv* env, const std::vector<jlong>& values) {
  const jlongArray array = env->NewLongArray(static_cast<jsize>(values.size()));
  if (array) env->SetLongArrayRegion(array, 0, static_cast<jsize>(values.size()), values.data());
  return array;
}

std::vector<jlong> longs(JNIEnv* env, jlongArray array) {
  std::vector<jlong> values(static_cast<std::size_t>(env->GetArrayLength(array)));
  env->GetLongArrayRegion(array, 0, static_cast<jsize>(values.size()), values.data());
  return values;
}

std::vector<jint> ints(JNIEnv* env, jintArray array) {
  std::vector<jint> values(static_cast<std::size_t>(env->GetArrayLength(array)));
  env->GetIntArrayRegion(array, 0, static_cast<jsize>(values.size()), values.data());
  return values;
}

std::vector<jdouble> doubles(JNIEnv* env, jdoubleArray array) {
  std::vector<jdouble> values(static_cast<std::size_t>(env->GetArrayLength(array)));
  env->GetDoubleArrayRegion(array, 0, static_cast<jsize>(values.size()), values.data());
  return values;
}

bool deliver(JNIEnv* env, jobject listener, const fabula_token& token) {
  const jbyteArray piece = java_bytes(env, token.piece, token.piece_bytes);
  if (!piece) return false;
  const jboolean goes_on = env->CallStaticBooleanMethod(
      classes.native, classes.deliver, listener, piece, static_cast<jint>(token.id), token.log_p, token.group_log_p,
      token.token_log_p, static_cast<jlong>(token.group), static_cast<jint>(token.finish));
  env->DeleteLocalRef(piece);
  return !env->ExceptionCheck() && goes_on == JNI_TRUE;
}

}  // namespace fabula::jni
