#!/usr/bin/env python3
"""exports_browser.py MNT PROFILE [DIR]: drives a headless Chromium; pictures go into DIR. The commands that the page
copies are run, with the scribefs of the PATH."""
import os
import subprocess
import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

mount, profile, pictures = sys.argv[1:4]
options = Options()
for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--force-device-scale-factor=1", f"--user-data-dir={profile}"):
    options.add_argument(argument)
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def shown():
    return [e.text.split("\n")[0] for e in driver.find_elements(By.CSS_SELECTOR, "#sessions>li") if e.is_displayed()]


def type_in(name, text):
    field = driver.find_element(By.ID, name)
    driver.execute_script("arguments[0].value=''", field)
    field.send_keys(text)
    driver.execute_script("arguments[0].dispatchEvent(new Event('input'))", field)


def choose(name, value):
    """By the keyboard: a list that pops up is no part of the page."""
    driver.find_element(By.ID, name).send_keys(value)
    chosen = driver.execute_script(f"return document.getElementById('{name}').value")
    assert chosen == value, (name, chosen)


def copied(what):
    """The command that a click of the one session that is shown copies."""
    driver.find_element(By.CSS_SELECTOR, f"#sessions>li:not([hidden]) button[data-what={what}]").click()
    said = driver.find_element(By.ID, "said").text
    assert said.startswith("Copied: "), said
    return said[len("Copied: "):]


def delete():
    """By the command for the session about beta, which the daemon moves then."""
    type_in("text", "about beta")
    subprocess.run(copied("delete"), shell=True, check=True)
    end = time.monotonic() + 60
    while os.path.exists(f"{mount}/users/ann/beta/beta's"):
        assert time.monotonic() < end, "it is not deleted"
        time.sleep(0.1)


def picture(name, path):
    """At two widths, light and dark; a page is never wider than the window."""
    for width, height, device in ((1280, 900, "desktop"), (390, 844, "phone")):
        for scheme in ("light", "dark"):
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": device == "phone"})
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                "features": [{"name": "prefers-color-scheme", "value": scheme}]})
            driver.get(path)
            wide = driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, (name, device, wide)
            colour = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert (colour == "rgb(255, 255, 255)") == (scheme == "light"), (name, scheme, colour)
            if pictures:
                driver.save_screenshot(f"{pictures}/{name}-{device}-{scheme}.png")


try:
    root = f"file://{mount}/exports"
    driver.get(f"{root}/index.html")
    assert len(shown()) == 3, shown()
    type_in("text", "about bet")
    assert shown() == ["About beta"], shown()
    type_in("text", "nothing of the kind")
    assert shown() == [], shown()
    type_in("text", "copy")  # the buttons are no text
    assert shown() == [], shown()
    type_in("text", " ")
    choose("workflow", "alpha")
    assert shown() == ["About alpha"], shown()
    choose("time", "today")
    choose("state", "archived")
    assert shown() == [], shown()
    time.sleep(2)  # what is typed soon after counts as the same word
    choose("state", "active")
    assert shown() == ["About alpha"], shown()
    assert copied("export") == f"cp -r '{mount}/exports/ann/alpha/alpha'\\''s' .", copied("export")
    resume = subprocess.run(copied("resume"), shell=True, check=True, capture_output=True, text=True).stdout
    assert "About alpha" in resume, resume
    driver.find_element(By.CSS_SELECTOR, "#sessions>li:not([hidden]) a").click()
    assert driver.title == "About alpha", driver.title
    assert len(driver.find_elements(By.TAG_NAME, "article")) == 2
    driver.get(f"{root}/ann/gamma/hostile/transcript.html")
    assert "owned" not in driver.title, driver.title
    assert not driver.find_elements(By.CSS_SELECTOR, "script, img, main main, article article")
    loaded = driver.execute_script("return performance.getEntriesByType('resource').length")
    assert loaded == 0, loaded
    faults = [entry for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
    assert not faults, faults
    picture("transcript", f"{root}/ann/alpha/alpha's/transcript.html")
    picture("hostile", f"{root}/ann/gamma/hostile/transcript.html")
    picture("index", f"{root}/index.html")
    delete()
    os.makedirs(f"{mount}/users/ann/beta/beta's/messages")  # another of that name, which .trash has
    with open(f"{mount}/users/ann/beta/beta's/messages/next.md", "w", encoding="ascii") as f:
        f.write("About beta\n")
    driver.get(f"{root}/index.html")
    delete()
    assert len(os.listdir(f"{mount}/users/ann/.trash/beta")) == 2
    driver.get(f"{root}/index.html")
    assert len(shown()) == 2, shown()
finally:
    driver.quit()
