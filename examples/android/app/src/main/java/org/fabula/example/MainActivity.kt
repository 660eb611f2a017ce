package org.fabula.example

import android.app.Activity
import android.graphics.Color
import android.os.Bundle
import android.text.SpannableStringBuilder
import android.text.Spanned
import android.text.TextPaint
import android.text.method.LinkMovementMethod
import android.text.style.ClickableSpan
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import kotlin.math.exp
import kotlin.math.roundToInt
import org.fabula.Finish
import org.fabula.Token

/** One screen: a prompt, the story as it is told, and how the head chose a token that is touched: its group, then it within the group. */
class MainActivity : Activity() {
    private lateinit var teller: Storyteller
    private lateinit var prompt: EditText
    private lateinit var button: Button
    private lateinit var story: TextView
    private lateinit var levels: TextView
    private val text = SpannableStringBuilder()
    private var telling = false

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(screen())
        teller = Storyteller(this)
        button.isEnabled = false
        levels.setText(R.string.opening)
        teller.open(
            ready = { device, parameters -> runOnUiThread { show(getString(R.string.ready, device, parameters)) } },
            failed = { runOnUiThread { levels.text = it } }
        )
    }

    /** In the background a GPU is not ours: the story ends where it is, within a submission. */
    override fun onStop() {
        teller.stop()
        super.onStop()
    }

    override fun onDestroy() {
        teller.close()
        super.onDestroy()
    }

    private fun screen(): View {
        prompt = EditText(this).apply { setText(R.string.prompt) }
        button = Button(this).apply { setOnClickListener { pressed() } }
        story = TextView(this).apply {
            textSize = 18f
            movementMethod = LinkMovementMethod.getInstance()
        }
        levels = TextView(this)
        val margin = (16 * resources.displayMetrics.density).roundToInt()
        return LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            fitsSystemWindows = true
            setPadding(margin, margin, margin, margin)
            addView(prompt, MATCH_PARENT, WRAP_CONTENT)
            addView(button, MATCH_PARENT, WRAP_CONTENT)
            addView(ScrollView(context).apply { addView(story) }, LinearLayout.LayoutParams(MATCH_PARENT, 0, 1f))
            addView(levels, MATCH_PARENT, WRAP_CONTENT)
        }
    }

    private fun pressed() {
        if (telling) return teller.stop()
        telling = true
        button.setText(R.string.stop)
        text.replace(0, text.length, prompt.text.toString())
        story.text = text
        teller.tell(
            prompt.text.toString(),
            told = { runOnUiThread { add(it) } },
            over = { runOnUiThread { show(levels.text) } },
            failed = { runOnUiThread { show(it) } }
        )
    }

    private fun show(message: CharSequence) {
        telling = false
        button.isEnabled = true
        button.setText(R.string.tell)
        levels.text = message
    }

    private fun add(token: Token) {
        if (token.piece.isNotEmpty()) {
            val begin = text.length
            text.append(token.piece)
            text.setSpan(TokenSpan(token), begin, text.length, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
            story.text = text
        }
        if (token.finish == Finish.NONE) levels.text = description(token)
    }

    private fun description(token: Token): String {
        val percent = { logP: Double -> 100 * exp(logP) }
        return if (token.group < 0) getString(R.string.one_level, percent(token.logP))
        else getString(R.string.levels, token.group, percent(token.groupLogP), percent(token.tokenLogP), percent(token.logP))
    }

    /** The paler a token, the surer the head was of its group. */
    private inner class TokenSpan(private val token: Token) : ClickableSpan() {
        private val colour = Color.HSVToColor(floatArrayOf(200f, (1 - exp(token.groupLogP)).toFloat().coerceIn(0f, 1f) * 0.6f, 1f))

        override fun onClick(widget: View) {
            levels.text = description(token)
        }

        override fun updateDrawState(paint: TextPaint) {
            if (token.group >= 0) paint.bgColor = colour
        }
    }
}
