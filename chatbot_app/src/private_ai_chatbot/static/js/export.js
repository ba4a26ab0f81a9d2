// Conversations as files of the visitor's own.

import { language, t } from "./i18n.js";

/** Return conversations as JSON: {format, exported, conversations}. */
export function asJson(conversations) {
  const exported = new Date().toISOString();
  return `${JSON.stringify({ format: "private-ai-chatbot/1", exported, conversations }, null, 2)}\n`;
}

function quoted(text) {
  return text.trim().split("\n").map((line) => `> ${line}`.trimEnd()).join("\n");
}

/** Return conversations as one Markdown text; thinking is quoted. */
export function asMarkdown(conversations) {
  const date = new Intl.DateTimeFormat(language(), { dateStyle: "long", timeStyle: "short" });
  const parts = [`# ${t("export.heading")}`, t("export.made", { date: date.format(new Date()) })];
  for (const conversation of conversations) {
    parts.push(`## ${conversation.title || t("history.untitled")}`, `*${date.format(conversation.updated)}*`);
    for (const message of conversation.messages) {
      parts.push(`### ${t(message.role === "user" ? "message.you" : "message.model")}`);
      if (message.reasoning?.trim()) parts.push(quoted(`**${t("export.thinking")}**\n\n${message.reasoning.trim()}`));
      if (message.content.trim()) parts.push(message.content.trim());
      if (message.state === "stopped") parts.push(`*${t("message.stopped")}*`);
    }
  }
  return `${parts.join("\n\n")}\n`;
}
