"""The operators' page: plain HTML, one style sheet, two small modules of script; no build step.

``console.html`` is the skeleton with all landmarks. ``console.js`` fills it from
``/console/overview`` and follows ``/automation/events``; ``words.js`` says how values are told, and
``console.css`` is the look, light and dark. They hold no data, so everybody may have them; what
they show comes from routes that ask for an operator's key.
"""
