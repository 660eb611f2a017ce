package org.fabula.example

import android.content.Context
import java.util.concurrent.Executors
import org.fabula.Device
import org.fabula.Model
import org.fabula.Session
import org.fabula.TextOptions
import org.fabula.TextResult
import org.fabula.Token

/** A model out of the app's assets on the phone's GPU. Everything but [stop] happens in a thread of its own. */
class Storyteller(private val context: Context) {
    private val worker = Executors.newSingleThreadExecutor()
    @Volatile private var session: Session? = null

    /** Opens the model; the first time the driver compiles the kernels, which takes a while. */
    fun open(ready: (device: String, parameters: Long) -> Unit, failed: (String) -> Unit) = onWorker(failed) {
        Device(null, context.cacheDir.path).use { device ->
            openModel().use { model ->
                session = Session(device, model, 1, model.groups > 0)  // keeps what it needs of both
                ready(device.name(), model.parameters)
            }
        }
    }

    /** Tells a story; [told] gets each token as it is written. */
    fun tell(prompt: String, told: (Token) -> Unit, over: (TextResult) -> Unit, failed: (String) -> Unit) = onWorker(failed) {
        val options = TextOptions().apply {
            temperature = 0.7
            topP = 0.95
            seed = System.nanoTime()
            slide = true
        }
        session?.let { over(it.generate(prompt, options) { token -> told(token); true }) }
    }

    /** Ends the story that is being told, from any thread; does not wait. */
    fun stop() {
        session?.cancel()
    }

    fun close() {
        stop()
        worker.execute { session?.close() }
        worker.shutdown()
    }

    /** The files of assets/model, each mapped where it lies in the APK. */
    private fun openModel(): Model {
        val descriptors = context.assets.list(FOLDER)!!.asList().associateWith { context.assets.openFd("$FOLDER/$it") }
        try {
            return Model.open(
                descriptors.map { (name, file) -> Model.Part(name, file.parcelFileDescriptor.fd, file.startOffset, file.length) },
                null
            )
        } finally {
            descriptors.values.forEach { it.close() }
        }
    }

    private fun onWorker(failed: (String) -> Unit, work: () -> Unit) = worker.execute {
        try {
            work()
        } catch (failure: Exception) {
            failed(failure.message ?: failure.toString())
        }
    }

    private companion object {
        const val FOLDER = "model"
    }
}
