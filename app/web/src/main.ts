import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";
import { later } from "$lib/slices";
import { renderMarkdown } from "$lib/markdown/render";

const target = document.querySelector("#app");
if (target) mount(App, { target });
// The first text takes longer than any other: better while nobody waits for it.
setTimeout(() => later(() => void renderMarkdown("**a** `b`\n\n- c\n\n|d|\n|-|\n|e|")), 200);
