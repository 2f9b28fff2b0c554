document.title = "Flask";
