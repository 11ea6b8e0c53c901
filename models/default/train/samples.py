"""The fixed prompts of the model card with their answers: python3 samples.py HY > prompts.md (temperature 0)."""
import subprocess
import sys

PROMPTS = ["Tell me a story about a fox", "Tell me a story about an owl who is afraid of the dark.", "Write a short story about a girl who lost her kite.",
           "Please tell me a bedtime story about a bear and a mouse.", "I want to hear a story about a lighthouse keeper.", "Make up a story about a brave snail.",
           "Can you tell me a story about a robot who wants to learn to dance?", "Tell me a story about friendship.", "Write a story about a dragon named Max.",
           "A story about a boy near the old bridge, please.", "Tell me a story about a pirate who goes on a journey.", "Tell me a story about a magic lantern.",
           "Tell me a story about an elephant who cannot sleep.", "What is hy?", "How does streaming work?", "What does hy serve do?", "How are experts kept in memory?",
           "Which commands does hy have?", "Who are you?", "Why is the sky blue?"]

for number, prompt in enumerate(PROMPTS, 1):
    text = subprocess.run([sys.argv[1], "run", "-p", prompt, "--temp", "0"], capture_output=True, text=True, check=True).stdout.strip()
    print("%d. **%s**\n\n%s\n" % (number, prompt, "\n".join("   > " + line if line else "   >" for line in text.split("\n"))))
