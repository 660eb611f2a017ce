plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

// What `cmake --install build/android-arm64 --prefix build/android-arm64/install` has put together, and the model to tell from.
val repository = rootDir.resolve("../..")
val installed = repository.resolve("build/android-arm64/install/lib")
val modelFolder = providers.gradleProperty("fabula.model").map { file(it) }

android {
    namespace = "org.fabula.example"
    compileSdk = 35
    defaultConfig {
        applicationId = "org.fabula.example"
        minSdk = 28
        targetSdk = 35
        versionCode = 1
        versionName = "1"
        ndk { abiFilters += "arm64-v8a" }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    kotlinOptions { jvmTarget = "1.8" }
    sourceSets["main"].java.srcDir(repository.resolve("src/jni/java"))
    sourceSets["main"].jniLibs.srcDir(layout.buildDirectory.dir("libraries"))
    sourceSets["main"].assets.srcDir(layout.buildDirectory.dir("model"))
    // A file that an APK stores uncompressed has a descriptor, and is mapped where it lies.
    androidResources { noCompress += listOf("safetensors", "json") }
}

val copyLibraries by tasks.registering(Copy::class) {
    from(installed) { include("libfabula.so", "libfabula_jni.so") }
    into(layout.buildDirectory.dir("libraries/arm64-v8a"))
    doFirst { require(installed.resolve("libfabula_jni.so").isFile) { "$installed has no libfabula_jni.so: build and install preset android-arm64 first (docs/android.md)" } }
}

val copyModel by tasks.registering(Copy::class) {
    from(modelFolder) { include("*.json", "model*.safetensors") }
    into(layout.buildDirectory.dir("model/model"))
    doFirst { require(modelFolder.isPresent) { "name a run or model folder: -Pfabula.model=FOLDER" } }
}

tasks.named("preBuild") { dependsOn(copyLibraries, copyModel) }
